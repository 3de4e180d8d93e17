"""Packages of npm that tests need, installed once into FLOW_WORKER_CACHE (~/.cache/flow-worker), and the Node for them:
that of deploy/directus.sh, because Debian's is too old for some."""

import json
import os
import pathlib
import subprocess

from needs import missing
from processes import TESTS

SCRIPT = TESTS.parent / "deploy" / "directus.sh"


def _run(*words):
    """What the script prints. Without npm or network: needs.missing()."""
    done = subprocess.run([SCRIPT, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600)
    if done.returncode != 0:
        missing("npm", f"directus.sh {words[0]}: {'; '.join(done.stderr.splitlines()[-3:])}")
    return done.stdout.strip()


def node():
    return _run("node")


def installed(name, packages):
    """The folder whose node_modules has the packages ({name: version})."""
    cache = os.environ.get("FLOW_WORKER_CACHE") or pathlib.Path.home() / ".cache" / "flow-worker"
    folder = pathlib.Path(cache) / f"{name}-{'-'.join(packages.values())}"
    if not (folder / "complete").exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text(json.dumps({"private": True, "type": "module", "dependencies": packages}))
        _run("npm", folder)
        (folder / "complete").touch()
    return folder
