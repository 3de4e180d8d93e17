"""What the command line and the HTTP door find out before a job is in the queue, and before anything is paid."""

import json

import pytest
import requests

GENERATE = {"operation": "ai-generate", "options": {"provider": "openai", "model": "gpt-4.1", "prompt": "Hello"}}
UPDATE = {"id": "write", "operation": "item-update",
          "options": {"collection": "articles", "key": 1, "payload": {"text": "{{ $last.content }}"}}}
CHAIN = {"operations": [{**GENERATE, "resolve": "write"}, UPDATE]}
TOKEN = "token-of-the-http-door-0005"


def generate(**options):
    return {"operation": "ai-generate", "options": {**GENERATE["options"], **options}}


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


CHECKED = {
    "an unknown model": (generate(model="gpt-4.l"), "MODEL_NOT_ALLOWED", "model 'gpt-4.l' of provider 'openai' is not allowed"),
    "an unknown provider": (generate(provider="opnai"), "PROVIDER_NOT_CONFIGURED", "there is no provider 'opnai'"),
    "a provider without a key": (generate(provider="google", model="gemini-2.5-pro"), "PROVIDER_NOT_CONFIGURED", "set AI_GOOGLE_API_KEY"),
    "a server without an address": (generate(provider="openai-compatible", model="x"), "PROVIDER_NOT_CONFIGURED",
                                    "set AI_OPENAI_COMPATIBLE_BASE_URL"),
    "items without Directus": (CHAIN, "INVALID_PAYLOAD", "operation 'write' (item-update) needs Directus: set DIRECTUS_URL"),
    "a stored flow without Directus": ({"flow": "Describe articles"}, "FLOW_NOT_FOUND", "DIRECTUS_URL is not set"),
}


@pytest.mark.parametrize("name", CHECKED)
def test_check_finds_what_can_not_run_with_this_configuration(name, simulator, flow_worker, tmp_path):
    job, code, why = CHECKED[name]
    (tmp_path / "job.json").write_text(json.dumps(job))
    done = flow_worker("check", "job.json", "--json", AI_GOOGLE_API_KEY="", AI_OPENAI_COMPATIBLE_BASE_URL="")
    assert done.status == 1 and done.json["code"] == code and why in done.json["message"], done.out
    assert not simulator.ledger()


def test_check_says_which_provider_is_switched_off(simulator, flow_worker, tmp_path):
    (tmp_path / "job.json").write_text(json.dumps(GENERATE))
    done = flow_worker("check", "job.json", AI_OPENAI_ENABLED="false")
    assert done.status == 1 and "'openai' is switched off: AI_OPENAI_ENABLED is false" in done.out


def test_check_leaves_to_the_run_what_only_the_run_can_know(simulator, flow_worker, tmp_path):
    (tmp_path / "job.json").write_text(json.dumps(generate(model="{{ $trigger.model }}")))
    assert flow_worker("check", "job.json").status == 0
    (tmp_path / "job.json").write_text(json.dumps(generate(model="gpt-4.l", fallback=[{"provider": "openai", "model": "gpt-4.1"}])))
    assert flow_worker("check", "job.json").status == 0
    (tmp_path / "job.json").write_text(json.dumps(GENERATE))
    assert flow_worker("check", "job.json").out == "job.json: a job that can run here\n"


def test_check_notes_an_option_that_is_spelled_almost_like_one_that_counts(simulator, flow_worker, tmp_path):
    (tmp_path / "job.json").write_text(json.dumps(generate(temprature=1, somethingElseEntirely=1)))
    done = flow_worker("check", "job.json", "--json")
    assert done.status == 0
    assert done.json["notes"] == ["operation 'ai-generate_1' (ai-generate): no option 'temprature', did you mean 'temperature'?"]


def test_without_directus_nothing_is_paid_for_an_answer_that_could_not_be_written(simulator, flow_worker):
    done = flow_worker("exec", "-", stdin=CHAIN)
    assert done.json["error"]["code"] == "INVALID_PAYLOAD"
    assert "operation 'write' (item-update) needs Directus: set DIRECTUS_URL and DIRECTUS_TOKEN" in done.json["error"]["message"]
    assert not simulator.ledger()
    assert flow_worker("exec", "-", "--dry-run", stdin=CHAIN).json["body"]["model"] == "gpt-4.1", "a dry run shows the question"
