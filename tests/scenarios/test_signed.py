"""A signed job counts once: a copy that somebody puts into Redis is refused."""

import hashlib
import hmac
import json
import time

SECRET = "secret-of-the-extension"


def signed(id=None, at=None, **more):
    job = {"operation": "transform", "options": {"json": {"a": 1}}, **more}
    if id:
        job["once"] = {"id": id, "at": at or int(time.time() * 1000)}
    text = json.dumps(job)
    return text[:-1] + ',"sign":"%s"}' % hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()


def code(result):
    return result["error"]["code"] if result.get("error") else None


def test_a_copy_of_a_signed_job_is_refused(queue, start_worker, redis):
    start_worker(WORKER_JOB_SECRET=SECRET)
    body = signed("job-1")
    assert queue.run(body, id="job-1")["status"] == "done"
    copy = queue.run(body, id="job-2")
    assert (copy["status"], code(copy)) == ("dead", "FORBIDDEN") and "job-1" in copy["error"]["message"]
    body = signed("job-3", at=int(time.time() * 1000) - 25 * 3600 * 1000)  # its result has expired since
    late = queue.run(body, id="job-3")
    assert (late["status"], code(late)) == ("dead", "FORBIDDEN") and "RESULT_TTL" in late["error"]["message"]


def test_a_signed_job_that_waited_at_the_door_while_no_worker_was_there_is_run(queue, start_worker, redis):
    long_ago = int(time.time() * 1000) - 600_000
    redis.client.xadd("{flow-worker}:in", {"id": "job-1", "body": signed("job-1", at=long_ago)}, id=f"{long_ago}-0")
    start_worker(WORKER_JOB_SECRET=SECRET, RESULT_TTL="60s")
    assert queue.result("job-1")["status"] == "done"


def test_a_member_that_is_changed_breaks_the_signature_and_one_without_once_counts_as_before(queue, start_worker):
    start_worker(WORKER_JOB_SECRET=SECRET)
    forged = queue.run(signed("job-1").replace("job-1", "job-2"), id="job-2")
    assert code(forged) == "FORBIDDEN"
    assert queue.run(signed(), id="job-3")["status"] == "done"
    wrong = json.dumps({"operation": "transform", "options": {"json": {}}, "once": "x"})
    assert code(queue.run(wrong)) == "INVALID_JOB"
