"""Flows that Directus itself would refuse or run wrongly are refused with the reason, before their first operation; a
chain that a crash has cut goes on where it was."""

import http.server
import json
import threading

import pytest

from processes import wait_for


def stored(*operations, first="a", **more):
    return {"id": "33333333-3333-4333-8333-333333333333", "name": "stored", "status": "active", "trigger": "operation",
            "options": {"return": "$last"}, "operation": first, "operations": list(operations), **more}


def step(id, type="transform", options=None, **links):
    return {"id": id, "key": f"key_{id}", "type": type, "options": options if options is not None else {"json": {"by": id}},
            "resolve": None, "reject": None, **links}


GENERATE = {"model": "gpt-4.1", "prompt": "Hello"}

REFUSED = {
    "a cycle": (stored(step("a", resolve="b"), step("b", reject="c"), step("c", resolve="a")), "INVALID_JOB", "leads back to 'key_a'"),
    "itself next": (stored(step("a", resolve="a")), "INVALID_JOB", "leads back to 'key_a'"),
    "a dangling resolve": (stored(step("a", resolve="nobody")), "INVALID_JOB", "'key_a').resolve is 'nobody'"),
    "a dangling reject": (stored(step("a", resolve="b"), step("b", reject="gone")), "INVALID_JOB", "'key_b').reject is 'gone'"),
    "a first operation that is not there": (stored(step("a"), first="nobody"), "INVALID_JOB", "'nobody' is none of this flow"),
    "an unknown type": (stored(step("a", resolve="b"), step("b", "ai-write")), "INVALID_JOB", "no operation 'ai-write'"),
    "two equal keys": (stored(step("a", resolve="b"), dict(step("b"), key="key_a")), "INVALID_JOB", "'key_a' is used twice"),
    "no type": (stored(step("a", resolve="b"), dict(step("b"), type=None)), "INVALID_JOB", "neither 'operation' nor 'type'"),
    "options that are no object": (stored(step("a", options="text")), "INVALID_JOB", "expected an object"),
    "mail": (stored(step("a", "ai-generate", GENERATE, resolve="b"), step("b", "mail")), "UNSUPPORTED_OPERATION", "use 'notification'"),
    "exec": (stored(step("a", "ai-generate", GENERATE, resolve="b"), step("b", "exec")), "UNSUPPORTED_OPERATION", "use 'transform'"),
    "a missing option": (stored(step("a", "ai-generate", GENERATE, resolve="b"), step("b", "item-update", {"key": 1, "payload": {"x": 1}})),
                         "INVALID_PAYLOAD", "operation 'key_b' (item-update): option 'collection' is missing"),
    "a missing flow": (stored(step("a", "ai-generate", GENERATE, resolve="b"), step("b", "trigger", {"flow": ""})),
                       "INVALID_PAYLOAD", "operation 'key_b' (trigger): option 'flow' is missing"),
    "a wrong option": (stored(step("a", "ai-generate", GENERATE, resolve="b"), step("b", "ai-generate", {"prompt": "x", "temperature": {"a": 1}})),
                       "INVALID_PAYLOAD", "operation 'key_b' (ai-generate): option 'temperature'"),
    "inactive": (stored(step("a"), status="inactive"), "FLOW_NOT_FOUND", "no active flow 'stored'"),
}


@pytest.mark.parametrize("flow,code,why", REFUSED.values(), ids=REFUSED.keys())
def test_a_flow_that_cannot_run_is_refused_with_the_reason(queue, worker, fake_directus, simulator, flow, code, why):
    fake_directus.flows["it"] = flow
    result = queue.run({"flow": "stored", "trigger": {}})
    assert (result["status"], result["error"]["code"]) == ("dead", code), result
    assert why in result["error"]["message"]
    assert not simulator.ledger() and not fake_directus.writes(), "nothing was done before"


def test_one_bad_flow_does_not_stop_the_others_and_is_read_again_when_it_is_mended(queue, worker, fake_directus):
    fake_directus.flows["bad"] = stored(step("a", resolve="a"))
    fake_directus.flows["good"] = dict(stored(step("a")), id="44444444-4444-4444-8444-444444444444", name="good")
    assert queue.run({"flow": "stored"})["status"] == "dead"
    assert queue.run({"flow": "good"})["last"] == {"by": "a"}
    fake_directus.flows["bad"] = stored(step("a"))
    assert queue.run({"flow": "stored"})["status"] == "done"


def test_an_operation_that_nothing_leads_to_is_left_alone(queue, worker, fake_directus):
    fake_directus.flows["it"] = stored(step("a"), step("b", "mail"), step("c", "unknown"))
    assert queue.run({"flow": "stored"})["last"] == {"by": "a"}


def test_two_flows_of_one_name_are_told_apart_by_their_ids(queue, worker, fake_directus):
    ids = ["55555555-5555-4555-8555-555555555555", "66666666-6666-4666-8666-666666666666"]
    for n, id in enumerate(ids):
        fake_directus.flows[id] = dict(stored(step("a", options={"json": n})), id=id, name="twin")
    both = queue.run({"flow": "twin"})
    assert (both["status"], both["error"]["code"]) == ("dead", "FLOW_NOT_FOUND")
    assert "2 active flows are named 'twin'" in both["error"]["message"]
    assert [queue.run({"flow": id})["last"] for id in ids] == [0, 1]


# --- a crash in the middle ---------------------------------------------------------------------------------------------


@pytest.fixture
def site():
    """Counts calls by path; /wait answers when it is let."""

    class Site(http.server.BaseHTTPRequestHandler):
        calls, go = [], threading.Event()

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
            Site.calls.append((self.path, json.loads(body)))
            if self.path == "/wait":
                Site.go.wait(60)
            text = json.dumps({"call": len(Site.calls)}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            try:
                self.wfile.write(text)
            except OSError:  # who asked was killed
                pass

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    Site.url = f"http://127.0.0.1:{server.server_port}"
    yield Site
    Site.go.set()
    server.shutdown()
    server.server_close()


def test_a_chain_goes_on_at_the_step_it_had_reached_and_does_nothing_twice(queue, start_worker, simulator, site):
    """Four requests, an AI call, a rejected step: the worker is killed in the fourth request."""
    def post(path, body):
        return {"method": "POST", "url": site.url + path, "body": body}

    job = {"operations": [
        {"type": "request", "key": "one", "options": post("/one", {"n": "{{$trigger.n}}"}), "resolve": "two"},
        {"type": "ai-generate", "key": "ask", "options": {"model": "gpt-4.1", "prompt": "About {{two.data.call}}"}, "resolve": "three"},
        {"type": "request", "key": "two", "options": post("/two", {"one": "{{one.data.call}}"}), "resolve": "throw"},
        {"type": "throw-error", "key": "throw", "options": {"code": "oops", "message": "{{two.data.call}}"}, "reject": "ask"},
        {"type": "request", "key": "three", "options": post("/three", {"thrown": "{{throw.message}}", "text": "{{ask.content}}"}), "resolve": "wait"},
        {"type": "request", "key": "wait", "options": post("/wait", {"last": "{{$last.data.call}}"}), "resolve": "end"},
        {"type": "request", "key": "end", "options": post("/end", {"one": "{{one.data.call}}", "code": "{{throw.code}}"})},
    ], "trigger": {"n": 7}, "return": "$all"}
    settings = {"WORKER_LEASE": "1s", "IMPORT_IP_DENY_LIST": ""}
    first = start_worker(**settings)
    id = queue.enqueue(job)
    wait_for(lambda: any(path == "/wait" for path, _ in site.calls), "the fourth request is under way")
    first.kill()
    site.go.set()
    start_worker(**settings)
    result = queue.result(id, 60)
    assert result["status"] == "done", result
    assert site.calls == [
        ("/one", {"n": 7}), ("/two", {"one": 1}), ("/three", {"thrown": "2", "text": "SIMULATED answer to: About 2"}),
        ("/wait", {"last": 3}), ("/wait", {"last": 3}), ("/end", {"one": 1, "code": "OOPS"})]
    assert len(simulator.ledger()) == 1
    assert result["return"]["throw"]["code"] == "OOPS" and result["return"]["wait"]["data"] == {"call": 5}
    assert result["attempts"] == 2 and result["usage"]["totalTokens"] > 0
    log = json.loads(queue.client.get(f"{queue.prefix}log:{id}"))
    assert [(s["key"], s["status"]) for s in log] == [
        ("one", "resolve"), ("two", "resolve"), ("throw", "reject"), ("ask", "resolve"), ("three", "resolve"), ("wait", "resolve"),
        ("end", "resolve")]
