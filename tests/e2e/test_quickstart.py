"""deploy/quickstart, as a new user runs it: once, again, with another Directus in the environment, and stopped."""

import os
import pathlib
import re
import subprocess
import time

import pytest

QUICKSTART = pathlib.Path(__file__).parents[2] / "deploy/quickstart"
KEPT = ("PATH", "HOME", "LANG", "FLOW_WORKER_CACHE")


@pytest.fixture(scope="module")
def quickstart(tmp_path_factory):
    """quickstart("--stop", AI_…="…") -> exit status and all that it printed. Ended and deleted with the tests."""
    state = tmp_path_factory.mktemp("quickstart") / "state"
    env = {name: os.environ[name] for name in KEPT if name in os.environ}

    def run(*arguments, **more):
        done = subprocess.run([QUICKSTART, *arguments], env={**env, "QUICKSTART_STATE": str(state), **more},
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return done.returncode, done.stdout

    run.state = state
    yield run
    run("--remove")
    assert not state.exists()


def processes(state):
    """Those that work in the state folder."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink(f"/proc/{pid}/cwd").startswith(str(state)):
                found.append(int(pid))
        except OSError:
            pass
    return found


def test_it_ends_with_a_written_article_what_it_cost_and_what_to_do_next(quickstart):
    status, said = quickstart()
    assert status == 0, said
    assert '"meta_description": "SIMULATED' in said
    assert re.search(r'"totalTokens": [1-9]', said) and re.search(r'"total": 0\.0', said)
    assert "open the Studio: http://127.0.0.1:" in said and "AI_OPENAI_API_KEY" in said
    assert len(processes(quickstart.state)) == 4


def test_run_again_it_keeps_what_runs(quickstart):
    before, started = processes(quickstart.state), time.monotonic()
    status, said = quickstart()
    assert status == 0, said
    assert '"meta_description": "SIMULATED' in said
    assert "creating" not in said and "starting the" not in said
    assert sorted(processes(quickstart.state)) == sorted(before)
    print(f"again: {time.monotonic() - started:.1f} s")


def test_simulated_answers_go_to_no_other_directus(quickstart):
    status, said = quickstart(DIRECTUS_URL="http://127.0.0.1:9")
    assert status == 1
    assert "failed at: choosing a provider" in said and "to fix: unset DIRECTUS_URL" in said


def test_a_provider_that_is_named_is_used_and_its_failure_told(quickstart):
    status, said = quickstart(AI_OPENAI_API_KEY="sk-not-a-key-0013", AI_OPENAI_BASE_URL="http://127.0.0.1:9/v1", AI_DEFAULT_MODEL="openai:gpt-4.1-mini")
    assert status == 1
    assert "with openai/gpt-4.1-mini" in said and "SIMULATED" not in said
    assert "PROVIDER_UNAVAILABLE" in said or "no result within" in said
    assert "sk-not-a-key-0013" not in said
    assert "sk-not-a-key-0013" not in "".join(log.read_text(errors="replace") for log in quickstart.state.glob("*.log"))


def test_stopped_nothing_is_left_running_and_the_data_stays(quickstart):
    status, said = quickstart("--stop")
    assert status == 0, said
    assert processes(quickstart.state) == []
    assert (quickstart.state / "directus/data.db").exists()
    assert quickstart("--stop")[0] == 0
