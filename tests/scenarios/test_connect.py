"""flow-worker connect where no real Directus is needed: who is asked for the token, and how (tests/e2e has the rest)."""

import os
import pty
import select

from processes import built, wait_for
from worker import environment, run_command

TOKEN = "admin-token-typed-by-hand-0007"


def test_the_token_is_asked_for_without_echo(fake_directus, tmp_path):
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(tmp_path)
        program = str(built("flow-worker"))
        os.execve(program, [program, "connect", fake_directus.url, "--collections", "articles"], environment())
    shown = b""

    def reads(text):
        nonlocal shown
        while select.select([terminal], [], [], 0)[0]:
            try:
                shown += os.read(terminal, 4096)
            except OSError:  # the program has ended
                break
        return text in shown

    wait_for(lambda: reads(b"not kept): "), "the program asks")
    os.write(terminal, TOKEN.encode() + b"\n")
    _, status = os.waitpid(child, 0)
    wait_for(lambda: reads(b"no administrator"), "the fake's answer")
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 1
    assert TOKEN.encode() not in shown
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
