"""The README's line of Redis rights: it is enough for all that a worker and its commands do, and nothing of it is too much."""

import json
import pathlib
import re

from processes import wait_for

ROOT = pathlib.Path(__file__).resolve().parents[2]
JOB = {"operation": "ai-generate", "options": {"provider": "openai", "model": "gpt-4.1-mini", "prompt": "Hello", "maxTokens": 20}}


def line():
    return re.search(r"^ +(ACL SETUSER flow-worker .*)$", (ROOT / "README.md").read_text(), re.M).group(1)


def commands(line):
    return {right[1:].split("|")[0] for right in line.split() if right.startswith("+")}


def used():
    """What the scripts and the program send, by their sources; doctor only tries out what others use."""
    found = set()
    for script in (ROOT / "worker/queue/lua").glob("*.lua"):
        found |= set(re.findall(r"call\('([A-Z]+)'", script.read_text()))
        found |= {word for pair in re.findall(r"call\(\w+ and '([A-Z]+)' or '([A-Z]+)'", script.read_text()) for word in pair}
    for folder in ("common", "worker"):
        for source in (ROOT / folder).rglob("*.c"):
            if source.name != "doctor_redis.c":
                found |= set(re.findall(r'"([A-Z]{3,})"', source.read_text()))
    return {word.lower() for word in found}


def test_nothing_of_the_line_is_too_much_and_no_script_needs_more():
    line_has = commands(line())
    too_much = line_has - used() - {"eval"}
    assert not too_much, f"nobody sends {too_much}: take it out of the table in doctor_redis.c and of the README's line"
    scripts = set()
    for script in (ROOT / "worker/queue/lua").glob("*.lua"):
        scripts |= {word.lower() for word in re.findall(r"call\('([A-Z]+)'", script.read_text())}
    assert scripts <= line_has, f"add {scripts - line_has} to the table in doctor_redis.c and to the README's line"
    assert not any(right in line() for right in ("+@", "~*", "&*", "allkeys", "allcommands", "nopass"))


def test_a_worker_does_all_it_does_as_that_user(redis, queue, simulator, start_worker, flow_worker, fake_directus, tmp_path):
    redis.client.execute_command(*line().replace("PASSWORD", "pass-of-the-worker").split())
    redis.client.execute_command("ACL", "LOG", "RESET")
    url = f"redis://flow-worker:pass-of-the-worker@127.0.0.1:{redis.port}"
    limits = 'json:[{"scope":"openai","rpm":1000,"concurrency":50,"budgetUsd":5},{"scope":"tenant:*","tpm":1000000}]'
    env = {"REDIS": url, "AI_LIMITS": limits}
    worker = start_worker(**env)

    def cli(*arguments, **more):
        done = flow_worker(*arguments, **{**env, **more})
        assert "NOPERM" not in done.err + done.out, done.err
        return done

    queue.enqueue(JOB, id="slow", dedup="k", reply_to="{flow-worker}:rep:me")
    queue.enqueue(JOB, id="next", dedup="k", dedup_mode="latest")
    queue.enqueue({**JOB, "options": {**JOB["options"], "cache": 60}}, id="cached")
    ids = [queue.enqueue(JOB, tenant=f"t{n % 3}", lane=n % 3) for n in range(20)]
    assert {result["status"] for result in queue.results(ids)} == {"done"}
    queue.run("{", id="bad")
    queue.enqueue(JOB, id="later", run_at=4_000_000_000_000)
    for n in range(3):
        fake_directus.add("articles", id=n, title=f"t{n}")
    batch = {"batch": {"collection": "articles", "fields": ["title"],
                       "flow": {"name": "f", "operations": [{**JOB, "key": "ask"}]}}}
    assert queue.run(batch, id="b1")["status"] == "done"
    cli("batch", "show", "b1", "--json")
    cli("batch", "export", "b1")
    (tmp_path / "job.json").write_text(json.dumps(JOB))
    cli("cron", "add", "nightly", "--cron", "0 2 * * *", "--job", str(tmp_path / "job.json"))
    cli("cron", "list", "--json")
    cli("cron", "remove", "nightly")
    cli("enqueue", str(tmp_path / "job.json"), "--wait", "30")
    for what in (["list"], ["show", "bad"], ["retry", "bad"], ["cancel", "later"], ["pause"], ["resume"]):
        cli("jobs", *what)
    wait_for(lambda: cli("jobs", "purge", "bad").status == 0, "the bad job to be dead again")
    cli("status", "--costs")
    cli("limits")
    checks = {check["check"]: check for check in cli("doctor", "--json").json["checks"]}
    assert checks["redis-acl"]["status"] == "good", checks["redis-acl"]
    worker.stop()
    start_worker(**env)
    assert queue.run(JOB)["status"] == "done"
    denied = {entry["object"] for entry in redis.client.acl_log()}
    assert denied <= {"client|setname", "directus:bus:flows"}, denied  # a name for CLIENT LIST; Directus' own Redis


def test_doctor_names_the_same_line(redis, flow_worker):
    redis.client.execute_command("ACL", "SETUSER", "poor", "on", ">pw-of-the-poor", "~*", "&*", "+@all", "-xadd")
    checks = flow_worker("doctor", "--json", REDIS=f"redis://poor:pw-of-the-poor@127.0.0.1:{redis.port}").json["checks"]
    (found,) = [check for check in checks if check["check"] == "redis-acl"]
    assert commands(found["fix"]) == commands(line()) and "XADD" in found["found"]
