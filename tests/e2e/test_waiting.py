"""Flows of the Studio that wait for a real worker."""

import concurrent.futures

from processes import wait_for


def waiting_flow(trigger, options, **ai):
    return {"name": "wait", "trigger": trigger, "options": options, "operations": [
        {"type": "ai-generate", "key": "ask", "options": {"model": "gpt-4.1", "prompt": "Say {{$trigger.body.x}}", **ai}}]}


def test_flows_that_ask_the_same_at_once_pay_once_and_all_get_the_answer(admin, simulator, connected):
    simulator.set(delay="1500")
    connected()
    flow = admin.create_flow(waiting_flow("webhook", {"method": "POST", "return": "$last"}, dedupeKey="say-{{$trigger.body.x}}"))
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        answers = [pool.submit(lambda: admin.raw("POST", f"/flows/trigger/{flow}", json={"x": "hello"}).json()) for _ in range(3)]
        results = [answer.result(60) for answer in answers]
    assert [result.get("content") for result in results] == ["SIMULATED answer to: Say hello"] * 3, results
    assert len(simulator.ledger()) == 1


def test_a_restart_of_directus_loses_and_doubles_no_job(directus, admin, simulator, connected):
    simulator.set(delay="1000")
    connected()
    admin.create_flow(waiting_flow(
        "event", {"type": "action", "scope": ["items.create"], "collections": ["articles"]},
        prompt="About {{$trigger.payload.title}}", saveCollection="articles", saveField="meta_description"))
    keys = [item["id"] for item in admin.post("/items/articles", [{"title": f"no. {n}"} for n in range(5)])]
    wait_for(lambda: len(simulator.ledger()) == 5, "all five were asked")
    directus.stop()
    directus.start()
    for n, key in enumerate(keys):
        text = wait_for(lambda: admin.get(f"/items/articles/{key}")["meta_description"], "the description", 90)
        assert text == f"SIMULATED answer to: About no. {n}"
    assert len(simulator.ledger()) == 5
    runs = [call["call"] for call in simulator.ledger()]
    assert len(set(runs)) == 5


def test_a_schedule_in_directus_hands_a_flow_over(admin, connected):
    """Nobody caused it: the worker's run has no user, and its writes are as unrestricted as in Directus."""
    connected()
    key = admin.post("/items/articles", {"title": "x"})["id"]
    target = admin.create_flow({"name": "target", "trigger": "operation", "options": {}, "operations": [
        {"type": "item-delete", "key": "gone", "options": {"collection": "articles", "key": key}}]})
    admin.create_flow({"name": "every second", "trigger": "schedule", "options": {"cron": "* * * * * *"}, "operations": [
        {"type": "flow-worker-run", "key": "run", "options": {"flow": target, "wait": False}}]})
    wait_for(lambda: not admin.get("/items/articles"), "the article is deleted", 60)
    assert wait_for(lambda: admin.flow_runs(target), "the run is in the log")[-1]["activity"]["user"] is None
