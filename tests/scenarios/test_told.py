"""What a worker tells beside its jobs: failures to a person, runs to a collection, and what it hears from Directus."""

import http.server
import json
import threading
import zlib

import pytest

from processes import wait_for
from worker import OPENAI_KEY

USER = "5a3c1d8e-0000-4000-8000-000000000001"
BAD = {"operation": "throw-error", "options": {"code": "MY_CODE", "message": "it went wrong", "status": 400}}
GOOD = {"operation": "transform", "options": {"json": {"a": 1}}}


class Receiver:
    """A webhook that keeps what it is told; `status` is what it answers."""

    def __init__(self):
        self.told, self.asked, self.status = [], 0, 200
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                receiver.asked += 1
                if receiver.status == 200:
                    receiver.told.append(body)
                self.send_response(receiver.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook?key=key-of-the-hook"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.server.shutdown()
    receiver.server.server_close()


# ---- WORKER_ON_DEAD ----


def test_a_failure_is_told_at_once_and_the_next_ones_together(receiver, queue, start_worker):
    worker = start_worker(WORKER_ON_DEAD=receiver.url)
    first = queue.enqueue(BAD, tenant="flow-a")
    [told] = wait_for(lambda: receiver.told, "the first failure is told")
    assert (told["event"], told["count"], told["codes"], told["flows"]) == ("jobs.failed", 1, {"MY_CODE": 1}, {"flow-a": 1})
    assert told["jobs"] == [{"id": first, "flow": "flow-a", "status": "dead", "code": "MY_CODE", "message": "it went wrong"}]
    assert "jobs retry --code MY_CODE" in told["text"] and "1 job failed" in told["text"]

    queue.results([queue.enqueue(BAD, tenant="flow-a") for _ in range(30)])
    queue.result(queue.enqueue("no job at all", id="bad-one"))
    assert queue.run(GOOD)["status"] == "done"
    assert len(receiver.told) == 1, "more than one message within a minute"
    worker.stop()
    [_, rest] = receiver.told
    assert rest["count"] == 31 and rest["codes"] == {"MY_CODE": 30, "INVALID_JOB": 1}
    assert len(rest["jobs"]) == 20
    assert "key-of-the-hook" not in worker.log


def test_neither_prompts_nor_keys_are_told(receiver, queue, simulator, start_worker):
    start_worker(WORKER_ON_DEAD=receiver.url)
    simulator.fault("error", kind="invalid_key", times=-1)
    queue.run({"operation": "ai-generate", "options": {"model": "gpt-4.1", "prompt": "the secret prompt"}})
    [told] = wait_for(lambda: receiver.told, "the failure is told")
    assert told["codes"] == {"INVALID_API_KEY": 1}
    assert "secret prompt" not in json.dumps(told) and OPENAI_KEY not in json.dumps(told)


def test_what_did_not_get_through_is_told_with_the_next_message(receiver, queue, start_worker):
    receiver.status = 500
    worker = start_worker(WORKER_ON_DEAD=receiver.url)
    queue.run(BAD)
    wait_for(lambda: receiver.asked == 1, "the receiver is asked")
    worker.wait_for_log("failed jobs are told of later")
    receiver.status = 200
    queue.run(BAD)
    worker.stop()
    assert [told["count"] for told in receiver.told] == [2]


def test_a_receiver_that_is_gone_holds_up_neither_jobs_nor_the_end(queue, start_worker):
    worker = start_worker(WORKER_ON_DEAD="http://127.0.0.1:1/", WORKER_CONCURRENCY=1)
    assert queue.run(BAD)["status"] == "dead"
    assert queue.run(GOOD)["status"] == "done"
    worker.stop()
    assert "failed jobs were not told of" in worker.log


def test_a_job_that_its_workers_do_not_survive_is_told_of(receiver, queue, simulator, start_worker):
    simulator.fault("hang", times=-1)
    id = queue.enqueue({"operation": "ai-generate", "options": {"model": "gpt-4.1", "prompt": "Hello"}}, max=0)
    first = start_worker(WORKER_LEASE="1s")
    wait_for(simulator.ledger, "the call is under way")
    first.kill()
    start_worker(WORKER_LEASE="1s", WORKER_ON_DEAD=receiver.url)
    [told] = wait_for(lambda: receiver.told, "the job is told of")
    assert [(j["id"], j["status"], j["code"]) for j in told["jobs"]] == [(id, "quarantined", "STALLED")]


def test_a_user_of_directus_gets_a_notification(queue, fake_directus, start_worker):
    start_worker(WORKER_ON_DEAD=f"directus:{USER}")
    queue.run(BAD, tenant="flow-a")
    fake_directus_told = wait_for(
        lambda: [r["body"] for r in fake_directus.requests if r["path"] == "/notifications"], "the notification")
    assert fake_directus_told[0]["recipient"] == USER
    assert fake_directus_told[0]["subject"] == "flow-worker: 1 job failed"
    assert "MY_CODE (1)" in fake_directus_told[0]["message"]


def test_failed_jobs_of_a_code_are_run_again(queue, flow_worker, start_worker):
    start_worker()
    bad, other = queue.enqueue(BAD), queue.enqueue({**BAD, "options": {"code": "OTHER", "message": "x"}})
    queue.results([bad, other])
    before = queue.client.xlen("{flow-worker}:ev")
    done = flow_worker("jobs", "retry", "--code", "MY_CODE", "--json")
    assert done.status == 0, done.err
    wait_for(lambda: queue.client.xlen("{flow-worker}:ev") > before, "the job is run again")
    assert queue.result(bad)["error"]["code"] == "MY_CODE"
    assert "1" in done.out


# ---- WORKER_RUN_LOG_COLLECTION ----


def runs_of(fake_directus):
    return [r["body"] for r in fake_directus.writes("runs")]


def test_each_run_is_written_as_the_studio_reads_it(queue, fake_directus, start_worker):
    start_worker(WORKER_RUN_LOG_COLLECTION="runs")
    id = queue.enqueue({
        "flow": {"name": "Two steps", "trigger": "event", "operations": [
            {"id": "11111111-0000-4000-8000-000000000001", "key": "one", "type": "transform", "options": {"json": {"a": "{{$trigger.payload.x}}"}},
             "resolve": "11111111-0000-4000-8000-000000000002"},
            {"id": "11111111-0000-4000-8000-000000000002", "key": "two", "type": "throw-error", "options": {"code": "MY_CODE", "message": "m"}},
        ]},
        "trigger": {"payload": {"x": 5, "password": "hunter2-of-the-user"}, "headers": {"authorization": "Bearer of-the-user", "host": "h"}},
        "accountability": {"user": USER},
    })
    queue.result(id)
    [run] = wait_for(lambda: runs_of(fake_directus), "the run is written")
    assert (run["flow"], run["job"], run["status"]) == ("Two steps", id, "dead")
    assert run["date"].endswith("Z")
    assert [(s["operation"][-1], s["key"], s["status"]) for s in run["data"]["steps"]] == [("1", "one", "resolve"), ("2", "two", "reject")]
    assert run["data"]["steps"][0]["options"] == {"json": {"a": 5}}
    data = run["data"]["data"]
    assert data["one"] == {"a": 5} and data["$last"]["code"] == "MY_CODE" and data["$accountability"]["user"] == USER
    assert data["$trigger"] == {"payload": {"x": 5, "password": "--redacted--"}, "headers": {"authorization": "--redacted--", "host": "h"}}
    assert "$env" not in data


def test_a_log_that_can_not_be_written_fails_no_job_and_is_told_once(queue, fake_directus, start_worker):
    worker = start_worker(WORKER_RUN_LOG_COLLECTION="runs")
    fake_directus.broken = 403, {"errors": [{"message": "no", "extensions": {"code": "FORBIDDEN"}}]}
    assert {queue.run(GOOD)["status"] for _ in range(5)} == {"done"}
    wait_for(lambda: len(runs_of(fake_directus)) == 5, "five tries")
    worker.stop()
    assert worker.log.count("run logs are not written") == 1


def test_runs_that_end_just_before_the_worker_are_written(queue, fake_directus, start_worker):
    worker = start_worker(WORKER_RUN_LOG_COLLECTION="runs")
    queue.results([queue.enqueue(GOOD) for _ in range(20)])
    fake_directus.delay = 0.2
    worker.stop()
    assert len(runs_of(fake_directus)) == 20


# ---- Directus' bus ----


def flow(text):
    return {"id": "22222222-0000-4000-8000-000000000001", "name": "Stored", "status": "active", "trigger": "operation",
            "operation": "22222222-0000-4000-8000-000000000002", "options": {}, "operations": [
                {"id": "22222222-0000-4000-8000-000000000002", "key": "say", "type": "transform", "options": {"json": {"text": text}},
                 "resolve": None, "reject": None}]}


def listeners(client, channel="directus:bus:flows"):
    return dict(client.pubsub_numsub(channel))[channel]


def test_a_change_of_a_flow_is_seen_at_once(queue, fake_directus, redis, start_worker):
    start_worker()
    wait_for(lambda: listeners(redis.client), "the worker listens")
    fake_directus.flows["f"] = flow("before")
    assert queue.run({"flow": "Stored"})["last"]["text"] == "before"
    fake_directus.flows["f"] = flow("after")
    assert queue.run({"flow": "Stored"})["last"]["text"] == "before", "it is kept for a while"
    redis.client.publish("directus:bus:flows", zlib.compress(b'{"type":"reload"}', wbits=31))
    wait_for(lambda: queue.run({"flow": "Stored"})["last"]["text"] == "after", "the changed flow is run")


def test_the_bus_may_be_another_redis_with_another_name(queue, fake_directus, redis, start_worker, tmp_path):
    from redis_server import RedisServer
    other = RedisServer(tmp_path / "bus")
    try:
        start_worker(DIRECTUS_BUS_REDIS=other.url, DIRECTUS_BUS_NAMESPACE="mine")
        wait_for(lambda: listeners(other.client, "mine:flows"), "the worker listens there")
        assert listeners(redis.client) == 0
    finally:
        other.stop()


def test_who_may_not_listen_works_all_the_same(queue, fake_directus, redis, start_worker):
    redis.client.execute_command("ACL", "SETUSER", "w", "on", ">password-of-w", "+@all", "~*", "resetchannels", "&{flow-worker}:*")
    worker = start_worker(REDIS=f"redis://w:password-of-w@127.0.0.1:{redis.port}")
    assert queue.run(GOOD)["status"] == "done"
    worker.wait_for_log("Directus' bus can not be listened to")
    assert queue.run(GOOD)["status"] == "done"
    worker.stop()
    assert worker.log.count("Directus' bus can not be listened to") == 1
