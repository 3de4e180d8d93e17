"""Workers that kill themselves at a crash point (common/crashpoint.h), one after another, until each point has had its
number of kills. They work beside the others, so what they leave is found by somebody."""

import pathlib
import re
import signal
import time

from processes import built

SOURCES = pathlib.Path(__file__).resolve().parents[2]
AT_ONCE = 2
PATIENCE_S = 45  # for one worker to come to its point
BY_TIMER = ("after_renew", "after_tick")  # passed once in a while, not once for each job


def all_points():
    """Every CRASH_POINT of the sources, so that none can be forgotten here."""
    found = set()
    for folder in ("common", "operations", "worker"):
        for source in (SOURCES / folder).rglob("*.c"):
            found.update(re.findall(r'CRASH_POINT\("(\w+)"\)', source.read_text()))
    return sorted(found)


def are_compiled_in():
    return b"CRASH_AT" in built("flow-worker").read_bytes()


class Points:
    def __init__(self, rig, times):
        self.rig, self.reached = rig, {}
        self.queue = [point for _ in range(times) for point in all_points()]
        self.under_way = []  # (worker, point, since)
        self.tries = 2 * times  # again, of all together
        if times:
            self.reached = dict.fromkeys(all_points(), 0)
        rig.random.shuffle(self.queue)

    def are_left(self):
        return bool(self.queue or self.under_way)

    def step(self):
        """Looks after them; called often, from the main thread only: a process dies with the thread that started it."""
        for entry in list(self.under_way):
            self.look_at(*entry)
        while self.queue and len(self.under_way) < AT_ONCE:
            point = self.queue.pop()
            nth = self.rig.random.randint(1, 3 if point in BY_TIMER else 20)
            worker = self.rig.start_worker(WORKER_HTTP_ADDRESS="", CRASH_AT=point if point == "in_drain" else f"{point}:{nth}")
            self.under_way.append((worker, point, time.monotonic()))

    def look_at(self, worker, point, since):
        if worker.process.is_running() and time.monotonic() < since + PATIENCE_S:
            if point == "in_drain" and '"message":"ready"' in worker.log:
                worker.terminate()
            return
        if not worker.process.is_running() and worker.process.popen.returncode == -signal.SIGKILL:
            self.reached[point] += 1
        elif self.tries > 0:  # Redis was away for too long, or it was one of the last jobs
            self.tries -= 1
            self.queue.append(point)
        worker.kill()
        self.under_way.remove((worker, point, since))
        self.rig.gone.append(worker)
