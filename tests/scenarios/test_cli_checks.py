"""What the command line and the HTTP door find out before a job is in the queue, and before anything is paid."""

import json

import pytest
import requests

GENERATE = {"operation": "ai-generate", "options": {"provider": "openai", "model": "gpt-4.1", "prompt": "Hello"}}
TOKEN = "token-of-the-http-door-0005"


FIELDS = {
    "lane": ("7", "field 'lane' is '7', expected 0, 1 or 2"),
    "run_at": ("tomorrow", "field 'run_at' is 'tomorrow', expected a whole number"),
    "dedup_mode": ("first", "field 'dedup_mode' is 'first', expected 'keep' or 'latest'"),
    "max": ("many", "field 'max' is 'many', expected a whole number"),
}


@pytest.mark.parametrize("name", FIELDS)
def test_enqueue_refuses_a_field_that_a_worker_would_refuse_later(name, queue, flow_worker):
    value, why = FIELDS[name]
    done = flow_worker("enqueue", "-", f"--{name.replace('_', '-')}", value, stdin=GENERATE)
    assert done.status == 1 and why in done.err and done.out == ""
    assert queue.client.xlen("{flow-worker}:in") == 0


@pytest.mark.parametrize("name", FIELDS)
def test_the_http_door_refuses_a_field_that_a_worker_would_refuse_later(name, start_worker, queue):
    value, why = FIELDS[name]
    worker = start_worker(WORKER_HTTP_TOKEN=TOKEN).wait_until_ready()
    answer = requests.post(f"{worker.url}/jobs?id=wrong&{name}={value}", json=GENERATE,
                           headers={"Authorization": f"Bearer {TOKEN}"}, timeout=30)
    assert answer.status_code == 400 and why in answer.text
    assert not queue.client.exists("{flow-worker}:res:wrong", "{flow-worker}:j:wrong")


def test_an_empty_id_is_none_and_the_id_that_the_job_gets_is_told(queue, flow_worker):
    done = flow_worker("enqueue", "-", "--id", "", stdin=GENERATE)
    [(_, entry)] = queue.client.xrange("{flow-worker}:in")
    assert done.status == 0 and done.out.strip() == entry["id"] and len(entry["id"]) == 36


def test_a_schedule_for_something_that_is_no_job_is_refused_at_once(queue, flow_worker, tmp_path):
    (tmp_path / "job.json").write_text(json.dumps({"operation": "ai-genrate", "options": {}}))
    add = ["cron", "add", "nightly", "--cron", "0 2 * * *"]
    done = flow_worker(*add, "--job", "job.json")
    assert done.status == 1 and "no operation 'ai-genrate'" in done.err
    (tmp_path / "job.json").write_text(json.dumps(GENERATE))
    done = flow_worker(*add, "--job", "job.json", "--lane", "low")
    assert done.status == 2 and "'--lane' is 'low', expected a whole number from 0 to 2" in done.err
    assert flow_worker("cron", "list", "--json").json == []
    assert "which job?" in flow_worker(*add).err
    assert "cron ad: expected add, list, remove, run-now or next" in flow_worker("cron", "ad").err
