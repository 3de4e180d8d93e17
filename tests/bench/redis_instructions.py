#!/usr/bin/python3
"""How many instructions a metered job takes in redis-server, by what is done: a figure that does not depend on how busy the
machine is. Needs valgrind. Half a minute.

    tests/bench/redis_instructions.py [--jobs 320] [--several 16]

The queue's scripts are called as a worker with many jobs calls them, --several things at a time: jobs that ask once, under
four limits (requests, tokens, a slot, a budget), 64 of them under way."""

import argparse
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

import redis

sys.path[:0] = [str(pathlib.Path(__file__).parents[1] / folder) for folder in ("rig", "scenarios")]

from queue_scripts import PREFIX, Queue  # noqa: E402

WORKER, ROUTE, STEP = "bench-1234-0123abcd", "openai/gpt-4.1-mini", "ai-generate_1"
BODY = json.dumps({"operation": "ai-generate", "options": {"provider": "openai", "model": "gpt-4.1-mini", "prompt": "Say hello."}})
ANSWER = json.dumps({"text": "Hello.", "finish": 0, "usage": {"input": 2, "output": 7}, "more": "x" * 120})
RESULT, LOG = json.dumps({"last": {"content": "x" * 900}}), json.dumps([{"key": STEP, "options": "y" * 1100}])
AT_A_TIME, GROUPS_UNDER_WAY, WARM_UP, TENANTS = 16, 4, 40, 5
PARTS = ("xadd, file, claim", "permit", "settle", "finish")


class Server:
    """redis-server under callgrind, which writes what it has counted whenever it is told to."""

    def __init__(self):
        self.folder, self.dumps = pathlib.Path(tempfile.mkdtemp(prefix="fw-bench-")), 0
        self.process = subprocess.Popen(
            ["valgrind", "--tool=callgrind", f"--callgrind-out-file={self.folder}/out", "redis-server", "--port", "0", "--save", "",
             "--unixsocket", self.folder / "s", "--dir", self.folder], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.client = redis.Redis(unix_socket_path=str(self.folder / "s"), decode_responses=True)
        while not self.is_there():
            time.sleep(0.05)

    def is_there(self):
        try:
            return self.client.ping()
        except redis.ConnectionError:
            assert self.process.poll() is None, "redis-server has ended"
            return False

    def stop(self):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.folder)

    def used(self):
        """Instructions since the last call."""
        self.dumps += 1
        subprocess.run(["callgrind_control", "-d", str(self.process.pid)], capture_output=True, check=True)
        dump = self.folder / f"out.{self.dumps}"
        while not (found := dump.exists() and re.search(r"^(?:totals|summary): (\d+)", dump.read_text(), re.M)):
            time.sleep(0.05)
        return int(found[1])


class Bench:
    def __init__(self, server, several):
        self.server, self.several = server, several
        queue = Queue(server.client)
        self.shas = {name: server.client.script_load(queue.source(name)) for name in ("file", "claim", "permit", "settle", "finish")}
        self.made = self.claims = 0
        self.under_way, self.sums = [], dict.fromkeys(PARTS, 0)
        self.day_ends = (int(time.time()) // 86400 + 1) * 86400000

    def together(self, name, things):
        """A script for several things each time -> the reply of each."""
        with self.server.client.pipeline(transaction=False) as pipe:
            for i in range(0, len(things), self.several):
                words = [word for thing in things[i:i + self.several] for word in (len(thing), *thing)]
                pipe.evalsha(self.shas[name], 1, PREFIX, *words)
            return [reply for replies in pipe.execute() for reply in replies]

    def begin(self):
        with self.server.client.pipeline(transaction=False) as pipe:
            for n in range(self.made, self.made + AT_A_TIME):
                pipe.xadd(PREFIX + "in", {"body": BODY, "id": f"job{n}", "tenant": f"t{n % TENANTS}"})
            entries = pipe.execute()
        words = [word for n, sid in enumerate(entries, self.made) for word in (sid, f"t{n % TENANTS}", "1", ROUTE, "", "", "")]
        self.made += AT_A_TIME
        self.claims += 1
        client = self.server.client
        client.evalsha(self.shas["file"], 1, PREFIX, 1000, 86400000, 1 << 20, *words)
        jobs = client.evalsha(self.shas["claim"], 1, PREFIX, WORKER, self.claims, AT_A_TIME, 15000)[1]
        return [(id, fence, f"{WORKER}.{id}") for id, fence, *_ in jobs]

    def rules(self, id):
        return ("openai", "rpm", 10**7, 1, "arrival", "openai", "tpm", 10**11, 100, "arrival", "openai", "concurrency", 1000,
                f"tenant:t{int(id[3:]) % TENANTS}", "budget", 10**12, 164000, f"day-{self.day_ends}", self.day_ends, "park")

    def permit(self, jobs):
        replies = self.together("permit", [(permit, id, fence, STEP, 1, 1, ROUTE, 121000, 15000, 164000, 0, 164000, "", 0, "",
                                            *self.rules(id)) for id, fence, permit in jobs])
        assert all(reply[0] == 1 for reply in replies), replies

    def settle(self, jobs):
        replies = self.together("settle", [(permit, id, fence, STEP, 1, 1, ROUTE, "-", "answer", ANSWER, 2, 0, 7, 12000, 0, 0, 0, -1, -1,
                                            "", 0, f"{ROUTE}|{STEP}|classes", "10 10 0 2 1 0 0 10 2 100 7", 1, "")
                                           for id, fence, permit in jobs])
        assert all(reply[:2] == [1, 1] for reply in replies), replies

    def finish(self, jobs):
        replies = self.together("finish", [(id, fence, WORKER, "done", RESULT, LOG, "", 0, "", "", 86400000, 86400000, "")
                                           for id, fence, _ in jobs])
        assert set(replies) == {1}, replies

    def measured(self, part, move, *args):
        self.server.used()
        result = move(*args)
        self.sums[part] += self.server.used()
        return result

    def turn(self, each):
        jobs = each(PARTS[0], self.begin)
        each(PARTS[1], self.permit, jobs)
        self.under_way.append(jobs)
        if len(self.under_way) == GROUPS_UNDER_WAY:
            oldest = self.under_way.pop(0)
            each(PARTS[2], self.settle, oldest)
            each(PARTS[3], self.finish, oldest)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=320)
    parser.add_argument("--several", type=int, default=16)
    given = parser.parse_args()
    server = Server()
    try:
        bench = Bench(server, given.several)
        turns = given.jobs // AT_A_TIME
        for _ in range(WARM_UP):
            bench.turn(lambda part, move, *args: move(*args))
        for _ in range(turns):
            bench.turn(bench.measured)
    finally:
        server.stop()
    for part, used in [*bench.sums.items(), ("in all", sum(bench.sums.values()))]:
        print(f"{part:<18}{used / turns / AT_A_TIME:10,.0f} instructions per job")


if __name__ == "__main__":
    main()
