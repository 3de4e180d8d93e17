"""Flows run here as Directus was seen to run them: tests/vectors/flow-run-vectors.json, through `exec`.

Left out: flows with helper operations of the recorder (t-…). Different on purpose (worker/README.md): see DIFFERS."""

import json
import pathlib

import pytest

VECTORS = json.loads((pathlib.Path(__file__).parents[1] / "vectors" / "flow-run-vectors.json").read_text())
DIFFERS = {
    "trigger op: unknown flow -> null": "a flow that is not there rejects with FLOW_NOT_FOUND",
    "trigger op: child without return -> null": "calls a flow that is not in the file",
    "trigger op: child rejects -> parent resolves with error": "calls a flow that is not in the file",
    "error_on_reject throws": "a rejected step without reject is a failed job; what is thrown is `error`",
}


def is_helper(vector):
    return any(o["type"].startswith("t-") for o in vector["flow"]["operations"])


def plain(value):
    """Errors: Directus drops some of their members in its log, ours are whole. What ours hides is not compared."""
    if isinstance(value, dict):
        if "__error" in value:
            return {"name": value["__error"], "message": value["message"]}
        if "name" in value and "message" in value:
            return {"name": value["name"], "message": value["message"]}
        return {k: plain(v) for k, v in value.items()}
    return [plain(v) for v in value] if isinstance(value, list) else value


def same(ours, theirs):
    ours, theirs = plain(ours), plain(theirs)
    if isinstance(ours, dict) and isinstance(theirs, dict):
        assert ours.keys() == theirs.keys()
        for key in ours:
            same(ours[key], theirs[key])
    elif isinstance(ours, str) and isinstance(theirs, str) and theirs.startswith("E: ["):
        assert ours.replace(" ", "").count("FAILED_VALIDATION") == 1, "a rendered error is whole here"
    else:
        assert ours == theirs or ours == "--redacted--"


def returned(value):
    return None if value == "__undefined__" else plain(value)


@pytest.mark.parametrize("vector", [v for v in VECTORS if not is_helper(v)], ids=lambda v: v["name"])
def test_a_flow_runs_as_in_directus(flow_worker, tmp_path, vector):
    (tmp_path / "flow.json").write_text(json.dumps(vector["flow"]))
    (tmp_path / "flows.json").write_text(json.dumps([v["flow"] for v in VECTORS if not is_helper(v)]))
    job = {"trigger": vector["trigger"], "accountability": vector["accountability"]}
    done = flow_worker("exec", "-", "--flow", "flow.json", "--flows", "flows.json", stdin=job,
                       FLOWS_ENV_ALLOW_LIST="MY_TOKEN,PORT", MY_TOKEN="s3cret-token", PORT=8080)
    result = done.json
    if vector["name"] in DIFFERS:
        assert result["steps"][0]["status"] == "reject", DIFFERS[vector["name"]]
        assert (result["error"] or result["data"]["tr"])["code"] in ("BAD", "FLOW_NOT_FOUND")
        return
    assert result["status"] == "done" or result["steps"][-1]["status"] == "reject", result
    if vector["flow"]["options"].get("return") or vector["flow"]["trigger"] != "webhook":
        same(result["return"], returned(vector.get("returned")))
    if not vector["revision"]:
        return
    seen = vector["revision"]["data"]
    same(result["data"], seen["data"])
    assert [(s["key"], s["status"]) for s in result["steps"]] == [(s["key"], s["status"]) for s in seen["steps"]]
    for ours, theirs in zip(result["steps"], seen["steps"]):
        same(ours["options"], theirs["options"])
