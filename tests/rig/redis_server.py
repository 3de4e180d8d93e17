"""A private redis-server on a free port, with an append-only file, stopped by pid.

`appendfsync no`: each command is in the file before it is answered, and so outlives a kill of the process; but for a client
that was slow to read: what it is owed goes out before the file is written (only `always` prevents that). With `everysec` nothing is
written while an fsync is under way (Redis 7.0: flushAppendOnlyFile() waits up to two seconds for it): on a busy disk a kill then
takes back what was answered, which is Redis' doing and not what is tested here."""

import redis

from processes import Process, free_port, wait_for


class RedisServer:
    def __init__(self, folder, *arguments):
        self.folder, self.arguments = folder, arguments
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}"
        self.client = redis.Redis(port=self.port, decode_responses=True, encoding_errors="replace")  # some values are packed
        self.process = None
        self.start()

    def start(self):
        """Also after kill(): the append-only file is read again."""
        self.process = Process(
            ["redis-server", "--port", self.port, "--bind", "127.0.0.1", "--dir", self.folder, "--save", "",
             "--appendonly", "yes", "--appendfsync", "no", "--loglevel", "warning", *self.arguments],
            self.folder / "redis.log")
        wait_for(self._answers, "redis-server answers", 120)  # a long append-only file is read first

    def _answers(self):
        if not self.process.is_running():
            raise AssertionError(f"redis-server ended:\n{self.process.log}")
        try:
            return self.client.ping()
        except (redis.exceptions.ConnectionError, redis.exceptions.BusyLoadingError):
            return False

    def kill(self):
        self.process.kill()

    def stop(self):
        self.process.stop()
