"""The HTTP door of a running worker: jobs in, results out, what it has counted."""

import subprocess
import threading

import pytest
import requests

from processes import wait_for

TOKEN = "token-of-the-http-door-0005"
HEADERS = {"Authorization": f"Bearer {TOKEN}"}
JOB = {"operation": "ai-generate", "options": {"provider": "openai", "model": "gpt-5.6-terra", "prompt": "Hello"}}


@pytest.fixture
def worker(start_worker):
    return start_worker(WORKER_HTTP_TOKEN=TOKEN, AI_OPENAI_ALLOWED_MODELS="gpt-5.6-terra").wait_until_ready()


def metrics(worker):
    """Name with labels -> value; promtool must have nothing to say about the text."""
    text = requests.get(f"{worker.url}/metrics", timeout=30).text
    checked = subprocess.run(["promtool", "check", "metrics"], input=text, text=True, capture_output=True)
    assert checked.returncode == 0, checked.stderr
    samples = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in samples}


def test_a_job_comes_in_and_its_result_goes_out(worker, simulator):
    simulator.answer("Good morning")
    answer = requests.post(f"{worker.url}/jobs?wait=30&id=morning&lane=0", json=JOB, headers=HEADERS, timeout=40)
    assert answer.status_code == 200, answer.text
    assert answer.json()["last"]["content"] == "Good morning"
    again = requests.get(f"{worker.url}/jobs/morning", headers=HEADERS, timeout=30)
    assert again.json() == answer.json()
    assert len(simulator.ledger()) == 1


def test_what_a_call_took_is_counted(worker, queue):
    result = queue.run(JOB)
    assert result["status"] == "done", result
    model = 'provider="openai",model="gpt-5.6-terra"'
    counted = metrics(worker)
    assert counted[f'flow_worker_provider_calls_total{{{model},outcome="answer"}}'] == 1
    assert counted[f'flow_worker_provider_tokens_total{{{model},kind="input"}}'] == result["usage"]["inputTokens"]
    assert counted[f'flow_worker_provider_tokens_total{{{model},kind="output"}}'] == result["usage"]["outputTokens"]
    assert counted[f"flow_worker_provider_call_duration_seconds_count{{{model}}}"] == 1
    assert counted['flow_worker_jobs_ended_total{status="done"}'] == 1
    assert counted['flow_worker_job_wait_seconds_count{lane="1"}'] == 1
    assert counted["flow_worker_redis_connected"] == 1


def test_how_the_queue_is_can_be_seen(worker, queue):
    assert queue.run({"operation": "throw-error", "options": {"code": "NO", "status": "400", "message": "no"}})["status"] == "dead"
    wait_for(lambda: metrics(worker).get('flow_worker_queue_jobs{state="dead"}') == 1, "the dead job is counted")
    assert metrics(worker)['flow_worker_queue_jobs{state="ready"}'] == 0


def test_metrics_do_not_wait_for_redis(worker, redis):
    redis.kill()
    wait_for(lambda: metrics(worker)["flow_worker_redis_connected"] == 0, "the worker misses Redis")
    wait_for(lambda: requests.get(f"{worker.url}/ready", timeout=30).status_code == 503, "it is not ready")
    assert requests.get(f"{worker.url}/health", timeout=30).status_code == 200


def test_one_who_waits_is_told_when_the_worker_stops(worker):
    answers = []
    job = {"operation": "sleep", "options": {"milliseconds": 60000}}

    def ask():
        try:
            answers.append(requests.post(f"{worker.url}/jobs?wait=50", json=job, headers=HEADERS, timeout=55).status_code)
        except requests.ConnectionError:
            answers.append("closed")

    client = threading.Thread(target=ask)
    client.start()
    wait_for(lambda: metrics(worker)["flow_worker_jobs_claimed_total"] == 1, "the job is claimed")
    worker.stop()
    client.join()
    assert answers == ["closed"] or answers == [503]


@pytest.mark.parametrize("variable, value, expected", [
    ("WORKER_LEASE", "15x", "WORKER_LEASE is '15x' (environment), expected a time such as"),
    ("WORKER_HTTP_ADDRESS", "nowhere", "expected host:port"),
    ("AI_LIMITS", "json:[{]", "AI_LIMITS is 'json:[{]' (environment), expected JSON (line 1, column 3"),
])
def test_a_bad_variable_stops_the_start(flow_worker, variable, value, expected):
    done = flow_worker("run", **{variable: value})
    assert done.status == 1
    assert expected in done.err
    assert done.out == ""


def test_config_shows_what_is_in_force_and_no_secret(flow_worker, simulator, tmp_path):
    (tmp_path / ".env").write_text('WORKER_CONCURRENCY=7\nWORKER_JOB_SECRET="a-secret-from-the-file"\nAI_DEFAULT_MODL=x\n')
    done = flow_worker("config", "--json", WORKER_LEASE="20s")
    shown = {item["name"]: item for item in done.json}
    assert (shown["WORKER_LEASE"]["value"], shown["WORKER_LEASE"]["source"]) == ("20s", "environment")
    assert (shown["WORKER_CONCURRENCY"]["value"], shown["WORKER_CONCURRENCY"]["source"]) == ("7", ".env line 1")
    assert shown["AI_OPENAI_API_KEY"]["value"] == "--redacted--"
    assert "did you mean AI_DEFAULT_MODEL?" in done.err
    assert "sk-test" not in done.out + done.err and "a-secret-from" not in done.out + done.err


def test_a_health_check_asks_the_worker_whether_it_takes_jobs(worker, redis, flow_worker):
    port = worker.url.rpartition(":")[2]
    for address in (f":{port}", port, f"127.0.0.1:{port}"):
        assert flow_worker("status", "--ready", "--json", WORKER_HTTP_ADDRESS=address).json == {"ready": True}
    redis.kill()
    wait_for(lambda: requests.get(f"{worker.url}/ready", timeout=30).status_code == 503, "it is not ready")
    asked = flow_worker("status", "--ready", WORKER_HTTP_ADDRESS=f":{port}")
    assert asked.status == 1 and asked.err.startswith("not ready: ") and len(asked.err) > len("not ready: \n"), asked.err
    assert flow_worker("status", "--ready").status == 2
