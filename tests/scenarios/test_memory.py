"""A worker of a release build runs in 64 MB, also under jobs as large as articles get."""
# labels: slow

import json
import os
import pathlib
import re

import pytest

import worker as rig
from needs import missing
from processes import built, wait_for

MIB_MOST = 60  # of the 64 of a container. 13, and for each job its text as it came, as it was resolved and as it is sent
JOBS = int(os.environ.get("FLOW_WORKER_MEMORY_JOBS", 300))
CALL_MS = 1000  # so that all of them are under way at once
TEXT = "A sentence of an article that is far too long to be read. " * 3500  # 200 kB
ASK = {"type": "ai-generate", "key": "ask",
       "options": {"provider": "openai", "model": "gpt-4.1", "maxTokens": 100, "prompt": "Sum up: {{$trigger.payload.content}}"}}
WRITE = {"type": "item-update", "options": {"collection": "articles", "key": "{{$trigger.key}}", "payload": {"meta": "{{ask.content}}"}}}


@pytest.fixture
def release(monkeypatch):
    """Sanitizers multiply memory: the worker of these tests is that of build-release. FLOW_WORKER_RELEASE names one that is
    perhaps still being built; the linker makes it executable when it is done."""
    named = os.environ.get("FLOW_WORKER_RELEASE")
    program = pathlib.Path(named) if named else pathlib.Path(__file__).parents[2] / "build-release" / "flow-worker"
    if named:
        wait_for(lambda: os.access(program, os.X_OK), f"{program} is built", 900, 1)
    if not program.exists():
        program = built("flow-worker")
    if b"__asan_init" in program.read_bytes():
        missing("release", "there is no release build: cmake -B build-release && cmake --build build-release")
    monkeypatch.setattr(rig, "built", lambda name: program)


def peak(worker):
    """MiB, the libraries' pages included."""
    status = pathlib.Path(f"/proc/{worker.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024


def done(redis):
    return int(redis.client.hget("{flow-worker}:n", "done") or 0)


def test_fifty_jobs_of_200_kb_at_a_time(release, redis, start_simulator, start_worker, queue):
    worker = start_worker(simulator=start_simulator(delay=CALL_MS), WORKER_CONCURRENCY=50, LOG_LEVEL="info").wait_until_ready()
    idle = peak(worker)
    for n in range(JOBS):
        queue.enqueue({"trigger": {"payload": {"content": f"{n} {TEXT}"}}, "operations": [ASK]})
    wait_for(lambda: done(redis) == JOBS, "all jobs are done", 300)
    print(f"{JOBS} jobs: {idle:.1f} MiB idle, {peak(worker):.1f} MiB at most")
    assert peak(worker) <= MIB_MOST


def test_a_batch_with_50_items_of_200_kb_at_a_time(release, redis, start_simulator, start_worker, fake_directus, flow_worker, tmp_path):
    items = JOBS // 3
    for n in range(1, items + 1):
        fake_directus.add("articles", id=n, content=f"{n} {TEXT}", meta=None)
    (tmp_path / "flow.json").write_text(json.dumps({"name": "sum up", "operations": [dict(ASK, resolve="item-update_2"), WRITE]}))
    worker = start_worker(simulator=start_simulator(delay=CALL_MS), WORKER_CONCURRENCY=50, LOG_LEVEL="info").wait_until_ready()
    made = flow_worker("batch", "create", "--collection", "articles", "--flow", "flow.json", "--fields", "content", "--budget", "100",
                       "--yes", "--json")
    assert made.status == 0, made.err
    wait_for(lambda: len(fake_directus.writes("articles")) == items, "all items are written", 300)
    print(f"{items} items: {peak(worker):.1f} MiB at most")
    assert peak(worker) <= MIB_MOST
