"""The simulated provider keeps what its README promises: other tests build on it."""

import hashlib
import http.client
import json
import pathlib
import resource
import signal
import socket
import time

import pytest
import requests

from processes import wait_for

CHAT = "/v1/chat/completions"
QUESTION = "Please say hello to everybody in this room, in German and in French, now."


def chat(text=QUESTION, **more):
    return {"model": "gpt-5.6-terra", "messages": [{"role": "user", "content": text}], **more}


def post(simulator, body, path=CHAT, headers=None, **how):
    return requests.post(simulator.url + path, json=body, headers=headers or {}, timeout=30, **how)


FORMATS = {
    "chat": (CHAT, chat(), lambda a: a["choices"][0]["message"]["content"], {}),
    "responses": ("/v1/responses", {"model": "gpt-6-sol", "input": QUESTION},
                  lambda a: a["output"][0]["content"][0]["text"], {}),
    "messages": ("/v1/messages",
                 {"model": "claude-sonnet-5-5", "max_tokens": 500, "messages": [{"role": "user", "content": QUESTION}]},
                 lambda a: a["content"][0]["text"], {"anthropic-version": "2023-06-01"}),
    "gemini": ("/v1beta/models/gemini-3.6-flash:generateContent",
               {"contents": [{"role": "user", "parts": [{"text": QUESTION}]}]},
               lambda a: a["candidates"][0]["content"]["parts"][0]["text"], {}),
}


@pytest.mark.parametrize("name", FORMATS)
def test_the_answer_is_made_of_the_question_and_costs_what_the_readme_says(simulator, name):
    path, body, text_of, headers = FORMATS[name]
    response = post(simulator, body, path, headers)
    text = text_of(response.json())
    assert text == "SIMULATED answer to: " + " ".join(QUESTION.split()[:12])
    assert response.headers["X-Simulated"] == "SIMULATED"
    line, = simulator.ledger()
    assert line["format"] == name
    assert line["usage"]["input"] == -(-len(QUESTION) // 5)
    assert line["usage"]["output"] == -(-len(text) // 5)


def test_a_schema_gets_a_value_that_fits_it(simulator):
    schema = {
        "type": "object", "additionalProperties": False, "required": ["title", "tags", "score", "kind", "when"],
        "properties": {
            "title": {"type": "string", "maxLength": 20},
            "tags": {"type": "array", "minItems": 2, "items": {"$ref": "#/$defs/tag"}},
            "score": {"type": "integer", "minimum": 3}, "kind": {"enum": ["a", "b"]},
            "when": {"type": ["string", "null"], "format": "date"}, "left_out": {"type": "string"},
        },
        "$defs": {"tag": {"type": "string", "minLength": 3, "maxLength": 4}},
    }
    body = chat(response_format={"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": schema}})
    value = json.loads(FORMATS["chat"][2](post(simulator, body).json()))
    assert value == {"title": "SIMULATED answer to:", "tags": ["SIMU", "SIMU"], "score": 3, "kind": "a", "when": "2026-11-20"}


def test_an_answer_is_cut_at_the_maximum_between_characters(simulator):
    choice = post(simulator, chat("日本語日本語日本語", max_completion_tokens=5)).json()["choices"][0]
    assert choice["message"]["content"] == "SIMULATED answer to: 日"
    assert choice["finish_reason"] == "length"


def test_the_ledger_knows_each_call(simulator):
    body = json.dumps(chat()).encode()
    requests.post(simulator.url + CHAT, body, headers={
        "Authorization": "Bearer sk-secret", "X-Client-Request-Id": "job#step#1"}, timeout=30)
    line, = simulator.ledger(call="job#step")
    assert line["sha256"] == hashlib.sha256(body).hexdigest()
    assert line["key"] == hashlib.sha256(b"sk-secret").hexdigest()[:16]
    assert (line["status"], line["outcome"], line["bytes"]) == (200, "sent", len(body))
    assert simulator.ledger(call="other") == []
    assert "sk-secret" not in simulator.process.log


def test_a_request_came_when_the_kernel_had_it_however_late_the_simulator_reads_it(simulator):
    body = json.dumps(chat()).encode()
    head = f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()

    def connect():
        return socket.create_connection(("127.0.0.1", simulator.port), timeout=30)

    with connect() as old:
        simulator.ledger()  # by now it has been accepted
        simulator.process.signal(signal.SIGSTOP)
        with connect() as new:
            for connection in (new, old):
                connection.sendall(head + body)
            sent = time.time() * 1000
            wait_for(lambda: time.time() * 1000 > sent + 200, "a while")
            simulator.process.signal(signal.SIGCONT)
            for connection in (new, old):
                assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")
    came = [line["at"] for line in simulator.ledger()]
    assert len(came) == 2 and max(came) <= sent


def test_a_client_that_goes_away_is_seen(start_simulator):
    simulator = start_simulator(delay=60000)
    with pytest.raises(requests.Timeout):
        requests.post(simulator.url + CHAT, json=chat(), timeout=0.2)
    wait_for(lambda: [line["outcome"] for line in simulator.ledger()] == ["aborted"], "the request is aborted")


def test_the_request_that_is_too_many_is_refused_and_told_when_to_come_again(start_simulator):
    simulator = start_simulator(limits="rpm=2")
    answers = [post(simulator, chat()) for _ in range(3)]
    assert [a.status_code for a in answers] == [200, 200, 429]
    assert [a.headers["x-ratelimit-remaining-requests"] for a in answers] == ["1", "0", "0"]
    assert 55 <= int(answers[2].headers["retry-after"]) <= 60
    assert answers[2].json()["error"]["code"] == "rate_limit_exceeded"
    assert simulator.stats()["limits"]["*"]["violations"] == 1


def test_tokens_are_taken_at_arrival_by_the_maximum(start_simulator):
    simulator = start_simulator(limits="tpm=1000")
    assert post(simulator, chat(max_completion_tokens=900)).status_code == 200
    assert post(simulator, chat(max_completion_tokens=200)).status_code == 429
    assert post(simulator, chat(max_completion_tokens=100)).status_code == 200


def test_faults_are_taken_in_turn_by_the_requests_that_fit(simulator):
    simulator.fault("error", kind="overloaded", contains="poison", nth=2)
    simulator.answer("exactly this", model="gpt", times=2, usage={"input": 70, "output": 3})
    texts = [post(simulator, chat(text)) for text in ("poison 1", "poison 2", "other", "other")]
    assert [t.status_code for t in texts] == [200, 503, 200, 200]
    assert [FORMATS["chat"][2](t.json())[:12] for t in (texts[0], texts[2], texts[3])] == \
        ["exactly this", "exactly this", "SIMULATED an"]
    assert [line["fault"] for line in simulator.ledger()] == ["answer", "error", "answer", None]


@pytest.mark.parametrize("fault, error", [
    ({"do": "reset"}, ConnectionResetError),
    ({"do": "reset", "after": 10}, ConnectionResetError),
    ({"do": "cut"}, http.client.RemoteDisconnected),
    ({"do": "cut", "after": 10}, http.client.IncompleteRead),
    ({"do": "hang"}, TimeoutError),
    ({"do": "hang", "after": 10}, TimeoutError),
    ({"do": "length", "length": 9999}, http.client.IncompleteRead),
])
def test_a_broken_connection_is_broken(simulator, fault, error):
    simulator.fault(**fault)
    connection = http.client.HTTPConnection("127.0.0.1", simulator.port, timeout=0.5 if error is TimeoutError else 30)
    with pytest.raises(error):
        connection.request("POST", CHAT, json.dumps(chat()))
        connection.getresponse().read()
    connection.close()


def test_a_fault_that_does_not_exist_is_refused_with_its_name(simulator):
    answer = requests.post(f"{simulator.url}/__sim/faults", json={"do": "explode"}, timeout=30)
    assert (answer.status_code, answer.json()) == (400, {"error": "there is no fault 'explode'"})


def test_a_stream_ends_as_its_protocol_says_and_can_be_made_not_to(simulator):
    assert post(simulator, chat(stream=True)).text.endswith("data: [DONE]\n\n")
    assert simulator.ledger()[0]["stream"] is True
    simulator.fault("stream_cut", after=2)
    assert "[DONE]" not in post(simulator, chat(stream=True)).text
    simulator.fault("stream_error", kind="overloaded", after=1)
    assert '"code":"server_is_overloaded"' in post(simulator, chat(stream=True)).text.splitlines()[2]


def test_two_thousand_requests_are_held_at_once(simulator):
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    simulator.fault("hang", times=-1)
    body = json.dumps(chat()).encode()
    request = b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (CHAT.encode(), len(body), body)
    sockets = []
    for _ in range(2000):
        sockets.append(socket.create_connection(("127.0.0.1", simulator.port), timeout=30))
        sockets[-1].sendall(request)
    wait_for(lambda: simulator.stats()["open"] == 2000, "2000 requests are open")
    for s in sockets:
        s.close()
    wait_for(lambda: simulator.stats()["outcomes"]["aborted"] == 2000, "all of them are seen to go away")


def test_it_listens_on_loopback_only(simulator):
    rows = [line.split() for table in ("tcp", "tcp6") for line in pathlib.Path(f"/proc/net/{table}").read_text().splitlines()[1:]]
    listening = [local for _, local, _, state, *_ in rows if state == "0A" and local.endswith(f":{simulator.port:04X}")]
    assert listening == [f"0100007F:{simulator.port:04X}"]  # 127.0.0.1, as the kernel writes it
