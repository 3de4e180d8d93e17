"""Schedules fire each tick exactly once, however many workers run, whatever their clocks say, and when they die."""
# labels: slow

import json
import random
import time

import pytest

from needs import other_clock
from processes import wait_for

SCHEDULES, TICKS, WORKERS = 100, 10, 8
NOTHING = {"operation": "transform", "options": {"json": {"at": "{{ $now }}"}}}


def add(flow_worker, tmp_path, id, cron, **options):
    (tmp_path / "job.json").write_text(json.dumps(NOTHING))
    arguments = [x for name, value in options.items() for x in (f"--{name.replace('_', '-')}", value)]
    done = flow_worker("cron", "add", id, "--cron", cron, "--job", "job.json", *arguments)
    assert done.status == 0, done.err
    return done


def listed(flow_worker, id):
    return next(s for s in flow_worker("cron", "list", "--json").json if s["id"] == id)


def ticks_of(redis, id):
    return sorted(int(key.rsplit(":", 1)[1]) for key in redis.client.scan_iter(f"{{flow-worker}}:res:cron:{id}:*", 1000))


def test_a_thousand_ticks_fire_once_each_with_eight_skewed_workers_that_are_killed(redis, start_worker, tmp_path):
    seed = random.randrange(2**32)
    print("seed", seed)
    random.seed(seed)
    schedules = [{"id": f"s{i}", "cron": "* * * * * *", "overlap": "queue", "missed": "all", "job": NOTHING}
                 for i in range(SCHEDULES)]
    (tmp_path / "schedules.json").write_text(json.dumps(schedules))
    env = {"WORKER_SCHEDULES": tmp_path / "schedules.json", "WORKER_LEASE": "2s", "LOG_LEVEL": "warn"}
    workers = [start_worker(**env, **other_clock(f"{random.randint(-5, 5):+d}")) for _ in range(WORKERS)]
    client = redis.client

    def fired():
        return sum(int(client.hget(f"{{flow-worker}}:cron:s{i}", "count") or 0) for i in range(SCHEDULES))

    while fired() < SCHEDULES * TICKS:
        time.sleep(random.uniform(0.5, 1.5))
        victim = random.choice(workers)
        victim.kill()
        workers.remove(victim)
        workers.append(start_worker(**env, **other_clock(f"{random.randint(-5, 5):+d}")))
    client.delete("{flow-worker}:cron")  # no more ticks
    ids = [f"s{i}" for i in range(SCHEDULES)]
    wait_for(lambda: sum(len(ticks_of(redis, id)) for id in ids) == fired(), "every firing has a result", 120, 0.5)
    total = fired()
    for id in ids:
        ticks = ticks_of(redis, id)
        assert ticks == list(range(ticks[0], ticks[-1] + 1000, 1000)), f"{id}: a tick is missing"
        assert len(ticks) == int(client.hget(f"{{flow-worker}}:cron:{id}", "count")), f"{id}: a tick fired twice"
    print(f"{total} ticks, {total} firings, 0 missing, 0 twice")


def test_clocks_that_differ_by_five_seconds_fire_no_tick_early_or_twice(redis, start_worker, flow_worker, tmp_path):
    add(flow_worker, tmp_path, "skewed", "* * * * * *", overlap="queue", missed="all")
    for offset in ("-5", "+5", "+0"):
        start_worker(**other_clock(offset))
    wait_for(lambda: len(ticks_of(redis, "skewed")) >= 5, "five ticks", 60)
    redis.client.delete("{flow-worker}:cron")
    count = int(redis.client.hget("{flow-worker}:cron:skewed", "count"))
    wait_for(lambda: len(ticks_of(redis, "skewed")) == count, "every firing has a result", 60)
    ticks = ticks_of(redis, "skewed")
    assert ticks == list(range(ticks[0], ticks[-1] + 1000, 1000))
    seconds, micros = redis.client.time()
    assert ticks[-1] <= seconds * 1000 + micros // 1000


@pytest.mark.parametrize("missed, fires", [("one", 1), ("skip", 0), ("all", 3)])
def test_ticks_that_were_missed_fire_by_the_policy(redis, start_worker, flow_worker, tmp_path, missed, fires):
    last_minute = int(time.time()) // 60 - 30  # half an hour ago, so that no tick comes now
    add(flow_worker, tmp_path, "hourly", f"{last_minute % 60} * * * *", missed=missed, overlap="queue")
    redis.client.zadd("{flow-worker}:cron", {"hourly": (last_minute - 120) * 60_000})
    start_worker().wait_until_ready()
    wait_for(lambda: redis.client.zscore("{flow-worker}:cron", "hourly") == (last_minute + 60) * 60_000,
             "the schedule is on time again")
    assert int(redis.client.hget("{flow-worker}:cron:hourly", "count") or 0) == fires


def test_a_tick_is_passed_while_the_last_job_is_alive(redis, start_worker, flow_worker, tmp_path):
    (tmp_path / "long.json").write_text('{"operation":"sleep","options":{"milliseconds":600000}}')
    done = flow_worker("cron", "add", "long", "--cron", "* * * * * *", "--job", "long.json", "--overlap", "skip")
    assert done.status == 0, done.err
    start_worker().wait_until_ready()
    wait_for(lambda: int(redis.client.hget("{flow-worker}:cron:long", "passed") or 0) >= 3, "three ticks are passed")
    assert redis.client.hget("{flow-worker}:cron:long", "count") == "1"


def test_the_file_of_schedules_is_kept_in_step(redis, start_worker, flow_worker, tmp_path):
    file = tmp_path / "schedules.json"
    add(flow_worker, tmp_path, "by-hand", "0 0 1 1 *")
    file.write_text(json.dumps([{"id": "a", "cron": "0 3 * * *", "job": NOTHING},
                                {"id": "b", "cron": "0 4 * * *", "job": NOTHING}]))
    start_worker(WORKER_SCHEDULES=file).wait_until_ready()
    wait_for(lambda: redis.client.scard("{flow-worker}:crons") == 3, "both are there")
    file.write_text(json.dumps([{"id": "b", "cron": "0 5 * * *", "timeZone": "Europe/Berlin", "job": NOTHING}]))
    start_worker(WORKER_SCHEDULES=file).wait_until_ready()
    wait_for(lambda: redis.client.smembers("{flow-worker}:crons") == {"b", "by-hand"}, "a is gone, by-hand is not")
    wait_for(lambda: listed(flow_worker, "b")["timeZone"] == "Europe/Berlin", "b is changed")


def test_a_bad_schedule_is_refused_with_the_member_and_what_was_expected(redis, flow_worker, start_worker, tmp_path):
    (tmp_path / "job.json").write_text(json.dumps(NOTHING))
    done = flow_worker("cron", "add", "x", "--cron", "61 * * * *", "--job", "job.json")
    assert done.status == 1 and "minute" in done.err and "61" in done.err
    done = flow_worker("cron", "add", "x", "--cron", "0 0 * * *", "--job", "job.json", "--missed", "sometimes")
    assert done.status == 1 and "'missed' is sometimes, expected one|skip|all" in done.err
    assert flow_worker("cron", "remove", "nobody").status == 1
    assert flow_worker("cron", "sing", "x").status == 2
    assert len(flow_worker("cron", "next", "--cron", "0 3 * * *", "--count", "3").out.splitlines()) == 3
