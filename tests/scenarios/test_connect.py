"""flow-worker connect where no real Directus is needed: who is asked for the token, and how (tests/e2e has the rest)."""

import contextlib
import os
import pty
import select
import termios

from processes import built, wait_for
from worker import environment, run_command

TOKEN = "admin-token-typed-by-hand-0007"


class Asked:
    """The program on a terminal of its own; stderr: the descriptor that it has instead of the terminal there."""

    def __init__(self, url, folder, stderr):
        self.shown, self.status = b"", None
        self.child, self.terminal = pty.fork()
        if self.child == 0:
            if stderr is not None:
                os.dup2(stderr, 2)
            os.chdir(folder)
            program = str(built("flow-worker"))
            os.execve(program, [program, "connect", url, "--collections", "articles"], environment())

    def shows(self, text):
        while select.select([self.terminal], [], [], 0)[0]:
            try:
                self.shown += os.read(self.terminal, 4096)
            except OSError:  # the program has ended
                break
        return text in self.shown

    def types(self, text):
        os.write(self.terminal, text)

    def is_quiet(self):
        return not termios.tcgetattr(self.terminal)[3] & termios.ECHO

    def has_ended(self):
        self.shows(b"")  # what nobody reads holds it up
        pid, status = os.waitpid(self.child, os.WNOHANG)
        if pid:
            self.status = os.waitstatus_to_exitcode(status)
        return pid


@contextlib.contextmanager
def asked(url, folder, stderr=None):
    program = Asked(url, folder, stderr)
    try:
        yield program
    finally:
        os.close(program.terminal)  # SIGHUP, if it still runs
        if program.status is None:
            os.waitpid(program.child, 0)


def full_pipe():
    """-> the end to read, the end to write: who writes there waits until somebody has read."""
    out, into = os.pipe()
    os.set_blocking(into, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(into, b".")
    os.set_blocking(into, True)
    return out, into


def test_the_token_is_asked_for_without_echo(fake_directus, tmp_path):
    with asked(fake_directus.url, tmp_path) as program:
        wait_for(lambda: program.shows(b"not kept): "), "the program asks")
        program.types(TOKEN.encode() + b"\n")
        wait_for(lambda: program.shows(b"no administrator"), "the fake's answer")
        wait_for(program.has_ended, "the program ends")
    assert program.status == 1
    assert TOKEN.encode() not in program.shown
    assert {r["headers"].get("authorization") for r in fake_directus.requests} == {f"Bearer {TOKEN}"}


def test_whoever_types_as_soon_as_the_token_is_asked_for_is_heard_and_not_shown(fake_directus, tmp_path):
    out, into = full_pipe()
    with asked(fake_directus.url, tmp_path, stderr=into) as program:
        wait_for(program.is_quiet, "the terminal is quiet, although the question has not been written yet")
        program.types(TOKEN.encode() + b"\n")
        os.close(into)
        with open(out, "rb") as said:
            text = said.read().lstrip(b".")  # to the end of the program
        wait_for(program.has_ended, "the program ends")
    assert text.startswith(b"Token of an administrator") and b"no administrator" in text
    assert TOKEN.encode() not in program.shown + text
    assert {r["headers"].get("authorization") for r in fake_directus.requests} == {f"Bearer {TOKEN}"}


def test_without_a_terminal_it_says_where_the_token_may_come_from(fake_directus, tmp_path):
    done = run_command("connect", fake_directus.url, "--collections", "articles", env=environment(), cwd=tmp_path)
    assert done.status == 1 and "--token-file" in done.err and "DIRECTUS_ADMIN_TOKEN" in done.err
    assert fake_directus.requests == []


def test_a_token_may_come_from_a_file_or_standard_input(fake_directus, tmp_path):
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    for name, stdin in (("token", None), ("-", f"{TOKEN}\n")):
        done = run_command("connect", fake_directus.url, "--collections", "articles", "--token-file", name,
                           env=environment(), cwd=tmp_path, stdin=stdin)
        assert "no administrator" in done.err and TOKEN not in done.out + done.err
        assert fake_directus.requests[-1]["headers"]["authorization"] == f"Bearer {TOKEN}"


def test_what_is_no_directus_gets_no_token_made(simulator, tmp_path):
    done = run_command("connect", simulator.url, "--collections", "articles", env=environment(DIRECTUS_ADMIN_TOKEN=TOKEN), cwd=tmp_path)
    assert done.status == 1 and "is no Directus" in done.err
    for wrong in (["cms.example.com", "--collections", "a"], ["http://x"], ["http://x", "--collections", "a", "--fields", "b:c"]):
        assert run_command("connect", *wrong, env=environment(), cwd=tmp_path).status == 2
