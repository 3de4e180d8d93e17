"""Batches: a flow for each item of a collection. Everything is counted, nothing runs twice, whoever dies."""
# labels: slow

import csv
import io
import json
import os
import pty
import subprocess

import pytest

from processes import built, wait_for
from worker import environment

MODEL = "gpt-4.1"
ASK = {"type": "ai-generate", "key": "ask", "options": {"provider": "openai", "model": MODEL, "prompt": "About {{$trigger.payload.title}}",
                                                        "maxTokens": 100}}
WRITE = {"type": "item-update", "key": "write", "options": {
    "collection": "articles", "key": "{{$trigger.key}}", "payload": {"meta": "{{ask.content}}"}}}
FLOW = {"name": "describe", "operations": [dict(ASK, resolve="write"), WRITE]}
KEY = "{flow-worker}:bat:"


@pytest.fixture
def articles(fake_directus):
    """articles(20) -> that many articles, 1 to 20."""
    def make(count):
        for n in range(1, count + 1):
            fake_directus.add("articles", id=n, title=f"T{n}.", meta=None)
        return fake_directus
    return make


@pytest.fixture
def batch(flow_worker, tmp_path):
    """batch("create", "--collection", …) -> what the command answered; --flow FLOW is added to create."""
    (tmp_path / "flow.json").write_text(json.dumps(FLOW))

    def run(what, *arguments, **how):
        more = ["--flow", "flow.json"] if what == "create" and "--flow" not in arguments else []
        return flow_worker("batch", what, *map(str, arguments), *more, **how)
    return run


def state_of(redis, id):
    return redis.client.hget(KEY + id, "state")


def count_of(redis, id, name="n:done"):
    return int(redis.client.hget(KEY + id, name) or 0)


def wait_state(redis, id, state, timeout=60):
    wait_for(lambda: state_of(redis, id) == state, f"batch {id} is {state}", timeout)


def answer_to(n):
    return f"SIMULATED answer to: About T{n}."


def test_a_batch_is_a_job_that_runs_the_flow_for_each_item(queue, worker, articles, redis, simulator):
    fake = articles(120)
    result = queue.run({"batch": {"collection": "articles", "flow": FLOW, "name": "first"}}, id="batch:b1", timeout=60)
    assert result["status"] == "done", result
    last = result["last"]
    assert (last["batch"], last["state"], last["total"], last["done"], last["failed"]) == ("b1", "done", 120, 120, 0)
    assert [fake.item("articles", n)["meta"] for n in (1, 2, 120)] == [answer_to(n) for n in (1, 2, 120)]
    assert len(simulator.ledger()) == 120


def test_two_thousand_items_survive_a_killed_worker_and_none_runs_twice(queue, start_worker, articles, redis, simulator,
                                                                        batch):
    fake = articles(2000)
    worker = start_worker(WORKER_LEASE="2s", LOG_LEVEL="warn")
    created = batch("create", "--collection", "articles", "--name", "big", "--yes", "--detach")
    assert (created.status, created.out) == (0, "big\n"), created.err
    wait_for(lambda: count_of(redis, "big") > 300, "some are done", 120)
    worker.kill()
    start_worker(WORKER_LEASE="2s", LOG_LEVEL="warn")
    wait_state(redis, "big", "done", 120)
    shown = batch("show", "big", "--json").json
    assert (shown["total"], shown["done"], shown["failed"], shown["gone"]) == (2000, 2000, 0, 0)
    assert [n for n in range(1, 2001) if fake.item("articles", n)["meta"] != answer_to(n)] == []
    assert len(list(redis.client.scan_iter("{flow-worker}:j:*", 5000))) == 0, "no job is left behind"
    rows = list(csv.DictReader(io.StringIO(batch("export", "big").out)))
    assert [row["item"] for row in rows] == [str(n) for n in range(1, 2001)]
    assert {row["status"] for row in rows} == {"done"}
    assert abs(sum(float(row["cost_usd"]) for row in rows) - shown["costUsd"]) < 1e-6
    assert max(int(entry["status"]) for entry in simulator.ledger()) == 200


def test_what_is_asked_for_is_read_by_key_and_never_by_offset(queue, worker, articles, fake_directus):
    fake = articles(250)
    for n in range(1, 251, 2):
        fake.item("articles", n)["status"] = "published"
    job = {"batch": {"collection": "articles", "flow": FLOW, "filter": {"meta": {"_null": True}, "status": {"_eq": "published"}},
                     "fields": ["title"], "limit": 100}}
    last = queue.run(job, timeout=60)["last"]
    assert (last["total"], last["done"]) == (100, 100)
    written = [n for n in range(1, 251) if fake.item("articles", n)["meta"]]
    assert written == list(range(1, 201, 2)), "what is written falls out of the filter and shifts nothing"
    assert not any("offset" in (r["body"] or {}).get("query", {}) for r in fake.requests if r["method"] == "SEARCH")


def test_a_paused_batch_starts_nothing_more_and_goes_on_when_it_is_told_to(start_worker, articles, redis, batch, simulator):
    fake = articles(300)
    start_worker(WORKER_CONCURRENCY=4)
    simulator.set(delay="30")
    batch("create", "--collection", "articles", "--name", "p", "--yes", "--detach")
    wait_for(lambda: count_of(redis, "p") >= 10, "it has begun")
    assert batch("pause", "p", "--json").json["state"] == "paused"
    wait_for(lambda: int(redis.client.hget("{flow-worker}:bt:p", "active") or 0) == 0, "what ran has ended")
    asked = len(simulator.ledger())
    assert asked < 300
    wait_for(lambda: int(redis.client.hget("{flow-worker}:bt:p", "parked") or 0) > 0, "those that waited are held back")
    assert len(simulator.ledger()) == asked, "nothing was asked since"
    simulator.set(delay="0")
    done = batch("resume", "p")
    assert done.status == 0, done.err
    assert [n for n in range(1, 301) if fake.item("articles", n)["meta"] != answer_to(n)] == []
    assert len(simulator.ledger()) == 300


def test_a_budget_stops_it_and_a_raised_one_lets_it_go_on(start_worker, articles, redis, batch, simulator):
    articles(200)
    start_worker(WORKER_CONCURRENCY=8)
    one = batch("create", "--collection", "articles", "--try", "2", "--json").json["estimate"]["costUsd"]["expected"] / 200
    calls = len(simulator.ledger())
    stopped = batch("create", "--collection", "articles", "--name", "money", "--budget", f"{one * 50:.9f}", "--yes", "--json")
    assert stopped.status == 1 and "resume money --budget" in stopped.err
    state = stopped.json
    assert state["state"] == "budget" and state["costUsd"] <= one * 50 and 20 < state["done"] <= 50, state
    assert state["failed"] == 0, "those that wait for money have not failed"
    done = batch("resume", "money", "--budget", f"{one * 1000:.9f}", "--json")
    assert done.status == 0, done.err
    assert (done.json["state"], done.json["done"]) == ("done", 200)
    assert len(simulator.ledger()) - calls == 200, "nobody was asked twice"


def test_old_values_are_put_back_but_not_over_newer_ones(worker, articles, redis, batch):
    fake = articles(150)
    for n in range(1, 151):
        fake.item("articles", n)["meta"] = f"old {n}"
    assert batch("create", "--collection", "articles", "--name", "r", "--yes").status == 0
    fake.item("articles", 7)["meta"] = "a person's"
    del fake.items["articles"]["9"]
    back = batch("revert", "r", "--json")
    assert back.status == 1
    assert {k: back.json[k] for k in ("reverted", "conflicts", "gone", "failed")} == {
        "reverted": 148, "conflicts": 1, "gone": 1, "failed": 0}
    assert sorted((line["key"], line["what"]) for line in back.json["left"]) == [("7", "conflict"), ("9", "gone")]
    assert fake.item("articles", 7)["meta"] == "a person's"
    assert [n for n in range(1, 151) if n not in (7, 9) and fake.item("articles", n)["meta"] != f"old {n}"] == []
    assert batch("revert", "r", "--json").json["reverted"] == 0, "once"


def test_a_newer_change_by_a_person_wins(start_worker, articles, redis, batch, simulator, tmp_path):
    fake = articles(3)
    for n in (1, 2, 3):
        fake.item("articles", n)["date_updated"] = None
    simulator.set(delay="600")
    start_worker()
    batch("create", "--collection", "articles", "--name", "c", "--if-unchanged", "--yes", "--detach")
    wait_for(lambda: len(simulator.ledger()) >= 1, "they are under way")
    fake.item("articles", 2).update(title="new", date_updated="2026-01-01T00:00:00Z")
    wait_state(redis, "c", "done")
    shown = batch("show", "c", "--json").json
    assert (shown["done"], shown["conflict"], shown["failed"]) == (2, 1, 0)
    assert fake.item("articles", 2)["meta"] is None
    rows = {row["item"]: row for row in batch("export", "c", "--json").json}
    assert (rows["2"]["status"], rows["2"]["code"]) == ("conflict", "CONFLICT") and "date_updated" in rows["2"]["message"]
    simulator.set(delay="0")
    assert batch("retry-failed", "c").status == 0
    assert fake.item("articles", 2)["meta"] == "SIMULATED answer to: About new"
    assert batch("show", "c", "--json").json["total"] == 3


def test_failed_items_run_again_and_a_paid_answer_is_not_asked_for_twice(worker, articles, redis, batch, simulator):
    fake = articles(20)
    fake.item("articles", 3).pop("title")  # TEMPLATE_UNRESOLVED: nothing was asked
    simulator.fault("error", kind="bad_request", contains="T5.", times=1)
    tried = batch("create", "--collection", "articles", "--name", "f", "--yes", "--json")
    assert tried.status == 1 and (tried.json["done"], tried.json["failed"]) == (18, 2)
    codes = {row["item"]: row["code"] for row in csv.DictReader(io.StringIO(batch("export", "f").out)) if row["code"]}
    assert codes["3"] == "TEMPLATE_UNRESOLVED" and set(codes) == {"3", "5"}
    fake.add("articles", id=3, title="T3.", meta=None)
    again = batch("retry-failed", "f", "--json")
    assert again.status == 0 and "2 items run again" in again.err, again.err
    assert (again.json["total"], again.json["done"], again.json["failed"]) == (20, 20, 0)
    assert [fake.item("articles", n)["meta"] for n in (3, 5)] == [answer_to(3), answer_to(5)]


def test_a_write_that_was_refused_is_tried_again_without_asking_again(worker, articles, redis, batch, simulator):
    fake = articles(5)
    saved = fake.items["articles"]
    simulator.set(delay="700")
    batch("create", "--collection", "articles", "--name", "w", "--yes", "--detach")
    wait_for(lambda: len(simulator.ledger()) == 5, "all are asked")
    fake.items["articles"] = {}
    wait_state(redis, "w", "done")
    assert count_of(redis, "w", "n:failed") == 5
    fake.items["articles"] = saved
    assert batch("retry-failed", "w").status == 0
    assert [saved[str(n)]["meta"] for n in range(1, 6)] == [answer_to(n) for n in range(1, 6)]
    assert len(simulator.ledger()) == 5


def test_a_cancelled_batch_ends_what_waits(start_worker, articles, redis, batch, simulator):
    articles(200)
    simulator.set(delay="50")
    start_worker(WORKER_CONCURRENCY=2)
    batch("create", "--collection", "articles", "--name", "x", "--yes", "--detach")
    wait_for(lambda: count_of(redis, "x") >= 3, "it has begun")
    assert batch("cancel", "x", "--json").json["state"] == "cancelled"
    wait_for(lambda: not list(redis.client.scan_iter("{flow-worker}:j:x#*", 1000)), "no item is left")
    shown = batch("show", "x", "--json").json
    assert shown["cancelled"] > 0 and shown["done"] < 200
    assert redis.client.hlen("{flow-worker}:bi:x") == shown["done"] + shown["cancelled"]


def test_only_items_whose_question_has_changed_cost_anything(worker, articles, redis, batch, simulator):
    fake = articles(30)
    only = ("--only-changed", "--yes", "--json")
    first = batch("create", "--collection", "articles", "--name", "n1", *only).json
    assert (first["done"], first["skipped"], len(simulator.ledger())) == (30, 0, 30)
    fake.item("articles", 4)["title"] = "T4, changed"
    fake.item("articles", 8)["meta"] = "edited, but the question is the same"
    second = batch("create", "--collection", "articles", "--name", "n2", *only).json
    assert (second["done"], second["skipped"]) == (1, 29)
    assert len(simulator.ledger()) == 31
    assert fake.item("articles", 8)["meta"] == "edited, but the question is the same", "nothing is written either"
    assert fake.item("articles", 4)["meta"] == "SIMULATED answer to: About T4, changed"


def test_a_try_shows_before_and_after_and_the_price_and_writes_nothing(articles, redis, batch, simulator):
    fake = articles(400)
    fake.item("articles", 1)["meta"] = "old"
    tried = batch("create", "--collection", "articles", "--try", "3", "--json")
    assert tried.status == 0, tried.err
    first = tried.json["tries"][0]
    assert first["writes"] == [{"collection": "articles", "key": 1, "before": {"meta": "old"}, "after": {"meta": answer_to(1)}}]
    price = tried.json["estimate"]
    assert price["items"] == 400
    assert price["costUsd"]["low"] <= price["costUsd"]["expected"] <= price["costUsd"]["high"]
    assert abs(price["costUsd"]["expected"] - sum(t["costUsd"] for t in tried.json["tries"]) / 3 * 400) < 1e-9
    assert len(simulator.ledger()) == 3 and fake.writes() == [] and redis.client.keys("*") == []
    text = batch("create", "--collection", "articles", "--try", "1").out
    assert "before: old" in text and f"after:  {answer_to(1)}" in text and "nothing was written" in text


def test_a_try_reads_what_would_be_replaced_although_the_batch_does_not_ask_for_it(articles, redis, batch, simulator, tmp_path):
    fake = articles(3)
    fake.item("articles", 1)["meta"] = "old"
    fake.add("notes", id="n", text="there already")
    note = {"type": "item-update", "key": "note", "options": {"collection": "notes", "key": ["n"], "payload": {"text": "{{ask.content}}"}}}
    new = {"type": "item-create", "key": "new", "options": {"collection": "notes", "payload": {"text": "{{ask.content}}"}}}
    gone = {"type": "item-update", "key": "gone", "options": {"collection": "notes", "key": "x", "payload": {"text": "1"}}}
    (tmp_path / "four.json").write_text(json.dumps([dict(ASK, resolve="write"), dict(WRITE, resolve="note"), dict(note, resolve="new"),
                                                    dict(new, resolve="gone"), gone]))
    only = ("--collection", "articles", "--fields", "title", "--flow", "four.json", "--try", "1")
    tried = batch("create", *only, "--json")
    assert tried.status == 0, tried.err
    assert [w["before"] for w in tried.json["tries"][0]["writes"]] == [{"meta": "old"}, {"text": "there already"}, None, {}]
    assert fake.writes() == []
    text = batch("create", *only).out
    for before in ("old", "there already", "(a new item)", "(could not be read)"):
        assert f"before: {before}\n" in text, text


def test_a_dry_run_shows_three_prompts_and_asks_nobody(articles, redis, batch, simulator):
    fake = articles(50)
    shown = batch("create", "--collection", "articles", "--dry-run")
    assert shown.status == 0, shown.err
    assert ["About T1." in line["body"]["input"] if isinstance(line["body"].get("input"), str) else
            "About T1." in json.dumps(line["body"]) for line in shown.lines][0] and len(shown.lines) == 3
    assert simulator.ledger() == [] and fake.writes() == []


def test_a_big_run_is_not_begun_unasked(articles, redis, batch):
    articles(150)
    refused = batch("create", "--collection", "articles")
    assert refused.status == 2 and "150 items: say --yes" in refused.err
    assert redis.client.keys("*") == []


@pytest.mark.parametrize("name, text", [
    ("rows.csv", '\ufeffid;title;note\r\n7;"Brot; frisch";"sagt ""hallo"""\r\n8;"zwei\nZeilen";\r\n'),
    ("rows.jsonl", '{"id":7,"title":"Brot; frisch","note":"sagt \\"hallo\\""}\n\n{"id":8,"title":"zwei\\nZeilen","note":""}\n')])
def test_rows_of_a_file_take_the_place_of_items(worker, redis, batch, simulator, fake_directus, tmp_path, name, text):
    (tmp_path / name).write_text(text, encoding="utf-8", newline="")
    (tmp_path / "rows.json").write_text(json.dumps([dict(ASK, options=dict(
        ASK["options"], prompt="{{$trigger.key}}: {{$trigger.payload.title}} ({{$trigger.payload.note}})"))]))
    done = batch("create", "--input", name, "--flow", "rows.json", "--name", "in", "--json")
    assert done.status == 0 and done.json["done"] == 2, done.err
    bodies = json.dumps(simulator.bodies(), ensure_ascii=False)
    assert '7: Brot; frisch (sagt' in bodies and 'hallo' in bodies and '8: zwei\\\\nZeilen ()' in bodies.replace("\\n", "\\\\n")
    rows = list(csv.DictReader(io.StringIO(batch("export", "in").out)))
    assert [(row["item"], row["status"]) for row in rows] == [("1", "done"), ("2", "done")]


def test_a_file_with_a_mistake_is_refused_with_its_line(redis, batch, tmp_path):
    (tmp_path / "bad.csv").write_text('a,b\n1,2\n"open,3\n')
    refused = batch("create", "--input", "bad.csv")
    assert refused.status == 1 and "bad.csv: line 3: a quote is not closed" in refused.err
    (tmp_path / "short.csv").write_text("a,b\n1\n")
    assert "line 2: found 1 fields, expected 2" in batch("create", "--input", "short.csv").err


def test_an_upload_that_was_interrupted_goes_on_without_doubles(worker, redis, batch, simulator, fake_directus, tmp_path):
    (tmp_path / "rows.csv").write_text("title\n" + "".join(f"T{n}.\n" for n in range(1, 61)))
    for n in range(1, 21):
        redis.client.rpush("{flow-worker}:bk:up", json.dumps({"n": n, "row": {"title": f"T{n}."}}))
    (tmp_path / "ask.json").write_text(json.dumps([ASK]))
    done = batch("create", "--input", "rows.csv", "--flow", "ask.json", "--name", "up", "--yes", "--json")
    assert (done.json["total"], done.json["done"]) == (60, 60), done.err
    assert len(simulator.ledger()) == 60


def test_the_user_is_told_at_the_end(queue, worker, articles, fake_directus):
    articles(4)
    result = queue.run({"batch": {"collection": "articles", "flow": FLOW, "name": "mine", "notify": "user-1"}})
    told = [r["body"] for r in fake_directus.requests if r["path"] == "/notifications"]
    assert len(told) == 1 and told[0]["recipient"] == "user-1", result
    assert told[0]["subject"] == "Batch mine is over: 4 done, 0 failed"


def test_a_flow_that_is_not_there_is_one_error_and_not_one_for_each_item(queue, worker, articles):
    articles(20)
    result = queue.run({"batch": {"collection": "articles", "flow": "nobody"}})
    assert (result["status"], result["error"]["code"]) == ("dead", "FLOW_NOT_FOUND")


def test_what_goes_wrong_with_a_batch_is_told_where_it_was_asked_for(worker, articles, batch, fake_directus):
    articles(3)
    failed = batch("create", "--collection", "articles", "--flow", "nobody", "--yes")
    assert failed.status == 1 and "no active flow 'nobody'" in failed.err
    for what in ("show", "pause", "export", "revert"):
        assert "there is no batch 'nope'" in batch(what, "nope").err
    assert batch("create", "--collection", "articles", "--name", "a b", "--yes").status == 2
    assert batch("sing", "x").status == 2
    assert batch("create", "--collection", "articles", "--budget", "much", "--yes").status == 2


def test_batches_are_listed_and_a_name_is_used_once(worker, articles, batch):
    articles(2)
    assert batch("create", "--collection", "articles", "--name", "one", "--yes").status == 0
    assert batch("create", "--collection", "articles", "--name", "two", "--yes").status == 0
    again = batch("create", "--collection", "articles", "--name", "one", "--yes")
    assert again.status == 1 and "there is a batch 'one' already" in again.err
    assert [b["batch"] for b in batch("list", "--json").json] == ["two", "one"]


@pytest.mark.parametrize("limit", [30, ("refuse", 30)])
def test_a_directus_that_gives_few_items_at_once_gives_all_of_them(queue, worker, articles, limit):
    articles(150).limit_max = limit
    last = queue.run({"batch": {"collection": "articles", "flow": FLOW}}, timeout=60)["last"]
    assert (last["total"], last["done"], last["gone"]) == (150, 150, 0)


def test_items_that_are_gone_or_dealt_with_when_their_turn_comes_are_left(start_worker, articles, redis, batch, simulator):
    fake = articles(50)
    simulator.set(delay="100")
    start_worker(WORKER_CONCURRENCY=2)
    batch("create", "--collection", "articles", "--filter", '{"meta":{"_null":true}}', "--concurrency", "4", "--name", "g",
          "--yes", "--detach")
    wait_for(lambda: count_of(redis, "g") >= 4, "it has begun")
    batch("pause", "g")
    for n in range(40, 46):
        del fake.items["articles"][str(n)]
    for n in range(46, 51):
        fake.item("articles", n)["meta"] = "a person's"
    simulator.set(delay="0")
    done = batch("resume", "g", "--json")
    assert done.status == 0, done.err
    assert (done.json["total"], done.json["done"], done.json["gone"]) == (50, 39, 11)
    assert {fake.item("articles", n)["meta"] for n in range(46, 51)} == {"a person's"}


def test_a_schedule_can_start_a_batch(redis, worker, articles, flow_worker, tmp_path):
    fake = articles(5)
    (tmp_path / "batch.json").write_text(json.dumps({"batch": {"collection": "articles", "flow": FLOW, "name": "nightly"}}))
    added = flow_worker("cron", "add", "nightly", "--cron", "0 2 1 1 *", "--job", "batch.json")
    assert added.status == 0, added.err
    assert flow_worker("cron", "run-now", "nightly").status == 0
    wait_for(lambda: all(item["meta"] for item in fake.items["articles"].values()), "all are written")
    listed = wait_for(lambda: [b for b in flow_worker("batch", "list", "--json").json if b["state"] == "done"], "it is over")
    assert (listed[0]["name"], listed[0]["done"]) == ("nightly", 5) and listed[0]["batch"].startswith("cron:nightly:")


def test_on_a_terminal_it_asks_tries_and_shows_a_bar(redis, simulator, worker, articles, fake_directus, tmp_path):
    articles(120)
    (tmp_path / "flow.json").write_text(json.dumps(FLOW))
    ours, theirs = pty.openpty()
    running = subprocess.Popen(
        [str(built("flow-worker")), "batch", "create", "--collection", "articles", "--flow", "flow.json"], cwd=tmp_path,
        env=environment(redis, simulator, fake_directus), stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    seen = ""

    def read_until(text):
        nonlocal seen
        while text not in seen:
            seen += os.read(ours, 65536).decode(errors="replace")

    try:
        read_until("120 items. Try 5 first? [Y/n]")
        os.write(ours, b"\n")
        read_until("Run the flow for all 120 items? [y/N]")
        assert seen.count("before:") == 5 and "nothing was written" in seen and fake_directus.writes() == []
        os.write(ours, b"y\n")
        read_until("[########################] 100 %  120 of 120")
        assert running.wait(60) == 0
    finally:
        running.kill()
        running.wait()
        os.close(ours)
