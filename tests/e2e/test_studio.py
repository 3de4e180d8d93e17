"""The extension in the Studio, as a person with a browser sees it. Screenshots: FLOW_WORKER_SCREENSHOTS names a folder.

For Directus 12: the buttons of 11 are icons without names."""

import json
import os
import pathlib
import subprocess

import pytest

import npm
from directus import ADMIN_EMAIL, ADMIN_PASSWORD, SCRIPT, VERSION
from processes import wait_for


@pytest.fixture(scope="module")
def walk():
    """Playwright's folder with studio.mjs in it."""
    subprocess.run([SCRIPT.parent / "packages", "browser"], check=True, capture_output=True)
    folder = npm.installed("browser", {"playwright-core": "1.61.0"})
    (folder / "studio.mjs").write_text((pathlib.Path(__file__).parent / "studio.mjs").read_text())
    return folder / "studio.mjs"


@pytest.mark.skipif(not VERSION.startswith("12."), reason="the walk knows the Studio of Directus 12")
def test_a_flow_is_built_in_the_studio_and_fills_an_article(directus, admin, simulator, connected, walk, tmp_path):
    simulator.answer("A loaf that keeps.", contains="Sourdough")
    connected()
    flow = admin.post("/flows", {
        "name": "Describe new articles", "trigger": "event", "status": "active", "accountability": "all",
        "options": {"type": "action", "scope": ["items.create"], "collections": ["articles"]}})["id"]
    shots = pathlib.Path(os.environ.get("FLOW_WORKER_SCREENSHOTS", tmp_path))
    done = subprocess.run(
        [npm.node(), walk, directus.url, flow, shots], text=True, capture_output=True, timeout=600,
        env={**os.environ, "ADMIN_EMAIL": ADMIN_EMAIL, "ADMIN_PASSWORD": ADMIN_PASSWORD})
    assert done.returncode == 0, f"{done.stderr}\nscreenshots: {list(shots.glob('*.png'))}"
    assert json.loads(done.stdout.splitlines()[-1]) == {"errors": [], "foreign": []}

    operation = admin.get(f"/flows/{flow}", fields="operations.*")["operations"][0]
    assert operation["type"] == "ai-generate"
    assert operation["options"] == {
        "provider": "openai", "model": "gpt-4.1", "prompt": "Describe in one sentence: {{$trigger.payload.title}}",
        "wait": True, "saveCollection": "articles", "saveField": "meta_description", "maxTokens": 160}
    article = wait_for(lambda: admin.get("/items/articles"), "the article")[0]
    assert article["title"] == 'Sourdough & "rye" 😀'
    assert wait_for(lambda: admin.get("/items/articles")[0]["meta_description"], "the description") == "A loaf that keeps."
    assert simulator.bodies()[0]["messages"][-1]["content"] == 'Describe in one sentence: Sourdough & "rye" 😀'
    run = wait_for(lambda: admin.flow_runs(flow), "the run is in the log")[0]
    assert (run["steps"][0]["status"], run["data"]["$last"]["content"]) == ("resolve", "A loaf that keeps.")
