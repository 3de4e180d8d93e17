"""jobs, status and limits on the command line, against a queue with jobs in every state."""

import json
import re

import pytest

from processes import wait_for

JOB = {"operation": "ai-generate", "options": {"provider": "openai", "model": "gpt-4.1-mini", "prompt": "Hello",
                                               "maxTokens": 20}}
BAD = {"operation": "ai-generate", "options": {"provider": "openai", "model": "gpt-4.1-mini", "prompt": ""}}


@pytest.fixture
def filed(queue, worker):
    """Two done, one dead about an item, one waiting for next year."""
    queue.results([queue.enqueue(JOB, id="good-1", batch="b1"), queue.enqueue(JOB, id="good-2")])
    queue.run("{", id="bad-1")
    queue.enqueue(JOB, id="later-1", run_at=4_000_000_000_000, batch="b1", tenant="shop")
    wait_for(lambda: queue.client.zcard("{flow-worker}:dly") == 1, "the late job to be filed")
    return queue


def ids(command):
    return sorted(job["id"] for job in command.json)


def test_list_finds_jobs_by_state_code_batch_and_tenant(filed, flow_worker):
    assert ids(flow_worker("jobs", "list", "--json")) == ["bad-1", "later-1"]
    assert ids(flow_worker("jobs", "list", "--state", "dead", "--json")) == ["bad-1"]
    assert ids(flow_worker("jobs", "list", "--code", "INVALID_JOB", "--json")) == ["bad-1"]
    assert ids(flow_worker("jobs", "list", "--batch", "b1", "--json")) == ["later-1"]
    assert ids(flow_worker("jobs", "list", "--tenant", "shop", "--json")) == ["later-1"]
    table = flow_worker("jobs", "list").out
    assert "later-1" in table and "delayed" in table and "INVALID_JOB" in table


def test_show_tells_everything_about_a_job_also_when_it_has_ended(filed, flow_worker):
    ended = flow_worker("jobs", "show", "good-1", "--json").json
    assert ended["result"]["status"] == "done" and ended["steps"][0]["type"] == "ai-generate"
    waiting = flow_worker("jobs", "show", "later-1", "--json").json
    assert waiting["state"] == "delayed" and waiting["body"] == JOB
    unknown = flow_worker("jobs", "show", "nobody")
    assert unknown.status == 1 and "no job 'nobody'" in unknown.err


def test_show_tells_how_far_a_job_is_that_has_begun(start_worker, queue, flow_worker):
    start_worker()
    queue.enqueue({"operations": [{"operation": "transform", "id": "first", "options": {"json": "{}"}, "resolve": "second"},
                                  {"operation": "sleep", "id": "second", "options": {"milliseconds": 600_000}}]}, id="long")
    wait_for(lambda: queue.client.hexists("{flow-worker}:s:long", "step:first"), "the first step")
    job = flow_worker("jobs", "show", "long", "--json").json
    assert job["finished"] == ["first"] and "result" not in job
    flow_worker("jobs", "cancel", "long")
    assert queue.result("long")["status"] == "cancelled"


def test_retry_cancel_and_purge_say_how_many_they_moved(filed, flow_worker):
    assert flow_worker("jobs", "retry", "--code", "INVALID_JOB", "--json").json == {"asked": 1, "moved": 1}
    filed.result("bad-1")
    assert flow_worker("jobs", "cancel", "later-1").out == "1 of 1 jobs are cancelled\n"
    assert filed.result("later-1")["status"] == "cancelled"
    again = flow_worker("jobs", "cancel", "later-1")
    assert again.status == 1 and again.out == "0 of 1 jobs are cancelled\n"
    wait_for(lambda: filed.client.zcard("{flow-worker}:dead") == 1, "the bad job to be dead again")
    assert flow_worker("jobs", "purge", "bad-1").status == 0
    assert flow_worker("jobs", "list", "--json").json == []


def test_show_says_of_a_job_that_waits_for_room_which_limit_is_full_and_until_when(start_worker, queue, flow_worker):
    start_worker(AI_LIMITS='json:[{"scope":"openai","rpm":1}]')
    queue.run(JOB)
    queue.enqueue(JOB, id="waits")
    wait_for(lambda: queue.client.hexists("{flow-worker}:j:waits", "waits"), "the job to be refused")
    shown = flow_worker("jobs", "show", "waits", "--json").json
    assert re.fullmatch(r"limit 'rpm' of 'openai' is full: 1 of 1, room from \d{4}-\d\d-\d\dT[\d:]{8}Z", shown["waits"]), shown
    assert "room from" in flow_worker("jobs", "show", "waits").out


def test_a_call_that_is_cancelled_is_counted_and_in_the_books_of_its_batch(queue, simulator, worker, flow_worker):
    simulator.fault("hang", call="slow")
    queue.enqueue(JOB, id="slow", batch="b1")
    wait_for(lambda: simulator.ledger(call="slow"), "the call to begin")
    assert flow_worker("jobs", "cancel", "slow").status == 0
    assert queue.result("slow")["status"] == "cancelled"
    wait_for(lambda: queue.client.hget("{flow-worker}:n", "cancelled_calls") == "1", "the call to be counted")
    assert int(queue.client.hget("{flow-worker}:bt:b1", "nano")) > 0


def test_a_dry_run_shows_dead_and_quarantined_jobs_as_one_list(filed, simulator, flow_worker):
    simulator.fault("cut", after=20, call="held")
    filed.run({**JOB, "options": {**JOB["options"], "onAmbiguous": "hold"}}, id="held")
    assert ids(flow_worker("jobs", "retry", "--code", "INVALID_JOB", "--dry-run", "--json")) == ["bad-1"]
    shown = flow_worker("jobs", "purge", "--tenant", "-", "--dry-run", "--json")
    assert [(job["id"], job["state"]) for job in shown.json] == [("bad-1", "dead"), ("held", "quarantined")]
    assert flow_worker("jobs", "purge", "--tenant", "-", "--dry-run").out.count("STATE") == 1


def test_what_waits_for_room_is_not_said_to_wait_for_a_worker(start_worker, queue, flow_worker):
    start_worker(AI_LIMITS='json:[{"scope":"openai","rpm":1}]')
    for n in range(3):
        queue.enqueue(JOB, id=f"job{n}", tenant="shop")
    status = wait_for(lambda: (found := flow_worker("status", "--json").json)["jobs"]["limited"] == 2 and found, "two wait for the minute")
    assert status["jobs"]["ready"] == 0
    [group] = status["waitingForRoom"]
    assert group["route"] == "openai/gpt-4.1-mini" and group["tenant"] == "shop" and group["jobs"] == 2
    assert {job["dueMs"] for job in flow_worker("jobs", "list", "--json").json} == {group["untilMs"]}
    assert "ROUTE WITHOUT ROOM" in flow_worker("status").out


@pytest.mark.parametrize("arguments, message", [
    (["jobs", "retry"], "which jobs?"), (["jobs", "eat"], "expected list, show ID, retry"), (["jobs"], ""),
    (["jobs", "list", "--limit", "many"], ""), (["jobs", "list", "--state", "done"], "expected ready, active"),
    (["jobs", "pause", "--route", "a/b", "--tenant", "c"], "not both"), (["jobs", "pause", "job-1"], "take no IDs"),
    (["batch", "shwo"], "batch shwo: expected create, list"), (["batch", "show"], "which one?"), (["cron", "remove"], "which schedule?")])
def test_wrong_use_is_status_2(filed, flow_worker, arguments, message):
    wrong = flow_worker(*arguments)
    assert wrong.status == 2 and message in wrong.err and wrong.out == ""


def test_pause_holds_jobs_back_and_resume_lets_them_go(filed, flow_worker):
    assert flow_worker("jobs", "pause", "--tenant", "shop").status == 0
    filed.enqueue(JOB, id="held", tenant="shop")
    filed.run(JOB, tenant="other")
    assert not filed.client.exists("{flow-worker}:res:held")
    assert "paused: tenant:shop: " in flow_worker("status").out
    flow_worker("jobs", "resume", "--tenant", "shop")
    assert filed.result("held")["status"] == "done"


def test_pause_of_everything_and_of_a_route_hold_what_they_name(queue, simulator, worker, flow_worker):
    other = {**JOB, "options": {**JOB["options"], "model": "gpt-4.1"}}
    queue.run(JOB)
    assert flow_worker("jobs", "pause", "--route", "openai/gpt-4.1-mini").status == 0
    queue.enqueue(JOB, id="held")
    wait_for(lambda: queue.client.hget("{flow-worker}:j:held", "state") == "ready", "it is filed")
    assert queue.run(other)["status"] == "done", "other routes go on"
    assert not queue.client.exists("{flow-worker}:res:held") and not simulator.ledger(call="held")
    flow_worker("jobs", "pause")
    queue.enqueue(other, id="all")
    wait_for(lambda: queue.client.hget("{flow-worker}:j:all", "state") == "ready", "it is filed")
    assert "still paused: route:openai/gpt-4.1-mini: " in flow_worker("jobs", "resume").out
    assert queue.result("all")["status"] == "done"
    assert not queue.client.exists("{flow-worker}:res:held")
    flow_worker("jobs", "resume", "--route", "openai/gpt-4.1-mini")
    assert queue.result("held")["status"] == "done"


def test_a_job_waits_before_the_step_whose_route_is_paused(queue, simulator, worker, flow_worker):
    flow_worker("jobs", "pause", "--route", "openai/gpt-4.1")
    ask = lambda key, model, **more: {"key": key, "type": "ai-generate", "options": {**JOB["options"], "model": model}, **more}
    queue.enqueue({"operations": [ask("first", "gpt-4.1-mini", resolve="second"), ask("second", "gpt-4.1")]}, id="two")
    wait_for(lambda: queue.client.hget("{flow-worker}:j:two", "state") == "parked", "it waits before the second")
    [row] = flow_worker("jobs", "list", "--json").json
    assert row["waitsFor"] == "paused:route:openai/gpt-4.1"
    assert " paused " in flow_worker("jobs", "list").out and "1  held back: somebody has paused them" in flow_worker("status").out
    assert queue.run(JOB)["status"] == "done", "others of its group go on"
    assert len(simulator.ledger(call="two")) == 1
    flow_worker("jobs", "resume", "--route", "openai/gpt-4.1")
    assert queue.result("two")["status"] == "done" and len(simulator.ledger(call="two")) == 2


def test_a_running_job_is_cancelled_from_another_process(queue, simulator, worker, flow_worker):
    simulator.fault("hang", call="slow")
    queue.enqueue(JOB, id="slow")
    wait_for(lambda: simulator.ledger(call="slow"), "the call to begin")
    assert flow_worker("jobs", "cancel", "slow").status == 0
    result = queue.result("slow", timeout=10)
    assert result["status"] == "cancelled" and result["error"]["code"] == "CANCELLED"
    wait_for(lambda: simulator.ledger(call="slow")[0]["outcome"] == "aborted", "the call to be closed")


def test_status_counts_jobs_workers_and_money(filed, flow_worker):
    status = flow_worker("status", "--costs", "--json").json
    assert (status["jobs"]["later"], status["jobs"]["dead"], status["jobs"]["active"]) == (1, 1, 0)
    assert [worker["slots"] for worker in status["workers"]] == [100]
    assert status["ever"]["done"] == 2 and status["recent"]["done"] == 2
    models = [line for line in status["costs"] if line["who"] == "openai/gpt-4.1-mini"]
    assert models[0]["calls"] == 2 and models[0]["costUsd"] > 0
    assert "openai/gpt-4.1-mini" in flow_worker("status", "--costs").out
    assert "running" in flow_worker("status").out


def test_limits_show_how_full_they_are(queue, start_worker, flow_worker):
    rules = "json:" + json.dumps([{"scope": "openai", "rpm": 100, "budgetUsd": 1, "period": "total"},
                                  {"scope": "tenant:*", "concurrency": 3}])
    start_worker(AI_LIMITS=rules)
    queue.results([queue.enqueue(JOB, tenant="shop") for _ in range(4)])
    lines = {(line["scope"], line["limit"]): line for line in flow_worker("limits", "--json", AI_LIMITS=rules).json}
    assert lines["openai", "rpm"]["used"] == 4 and lines["openai", "rpm"]["of"] == 100
    assert 0 < lines["openai", "budgetUsd"]["used"] < 1
    assert lines["tenant:shop", "concurrency"]["used"] == 0
    assert "tenant:shop" in flow_worker("limits", AI_LIMITS=rules).out
