"""Dashboards and alerts name only metrics and labels that a daemon exports, and are well-formed.

`tests/acceptance/test_exported_metrics.py` compares the page read here with a running daemon.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yml"
GRAFANA = ROOT / "deploy" / "grafana"
BOARDS = sorted((GRAFANA / "dashboards").glob("*.json"))
TIMELINE = Path(__file__).with_name("alerts_timeline.yml")

_ROW = re.compile(r"^\| `(?P<name>[a-z_]+)` \| (?P<type>\w+) \| (?P<labels>[^|]*)\|", re.MULTILINE)
_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"')
_SERIES = re.compile(r"\b(?P<name>[a-z_]+)\b(?!\s*\()(?:\s*\{(?P<matchers>[^}]*)\})?")
_GROUPING = re.compile(r"\b(?:by|on|without|ignoring)\s*\((?P<labels>[^)]*)\)")
_WORDS = {"and", "or", "unless", "offset", "bool"}
_FROM_PROMETHEUS = {"job", "instance", "le"}
_SUFFIXES = {"histogram": ("_bucket", "_sum", "_count")}


def documented() -> dict[str, tuple[str, frozenset[str]]]:
    """Type and labels of every series by name, histograms by their three."""
    found = {"up": ("gauge", frozenset[str]())}
    for row in _ROW.finditer((ROOT / "docs" / "metrics.md").read_text()):
        labels = frozenset(re.findall(r"`(\w+)`", row["labels"]))
        for suffix in _SUFFIXES.get(row["type"], ("",)):
            found[row["name"] + suffix] = (row["type"], labels)
    assert len(found) > 60
    return found


def wrong_in(expression: str, known: dict[str, tuple[str, frozenset[str]]]) -> list[str]:
    """What an expression names that is not exported, or uses in a way that its type forbids."""
    bare = _TEXT.sub("", expression)
    labels = {
        label.strip() for found in _GROUPING.finditer(bare) for label in found["labels"].split(",")
    }
    body = re.sub(r"\[[^\]]*\]", "", _GROUPING.sub("", bare))
    problems, allowed = [], set(_FROM_PROMETHEUS)
    named = [found for found in _SERIES.finditer(body) if found["name"] not in _WORDS]
    for series in named:
        if series["name"] not in known:
            problems.append(f"{series['name']} is not exported")
            continue
        kind, has = known[series["name"]]
        allowed |= has
        matched = re.findall(r"(\w+)\s*[=!]", series["matchers"] or "")
        problems += [
            f"{series['name']} has no label {label}"
            for label in matched
            if label not in has | _FROM_PROMETHEUS
        ]
        if kind in ("counter", "histogram") and not re.search(r"\b(rate|increase)\(", body):
            problems.append(f"{series['name']} is a counter and is shown as it is")
    problems += [f"no label {label} to group by" for label in labels - allowed if named]
    return problems if named else ["names no metric"]


def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def expressions(board: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for panel in board["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]
    for annotation in board["annotations"]["list"]:
        if "expr" in annotation:
            yield annotation["name"], annotation["expr"]
    for variable in board["templating"]["list"]:
        if asked := re.fullmatch(r"label_values\((\w+), (\w+)\)", variable.get("definition", "")):
            yield variable["name"], f"sum by ({asked[2]}) ({asked[1]})"


def test_alerts_name_what_is_exported() -> None:
    known, rules = documented(), alerts()
    assert len(rules) > 15
    for rule in rules:
        assert not wrong_in(rule["expr"], known), (rule["alert"], wrong_in(rule["expr"], known))
        assert rule["labels"]["severity"] in ("notice", "warning", "critical")
        assert {"summary", "description"} == rule["annotations"].keys()
        words = " ".join(rule["annotations"].values())
        used = set(re.findall(r"\$labels\.(\w+)", words))
        names = {found["name"] for found in _SERIES.finditer(_TEXT.sub("", rule["expr"]))}
        has = set().union(*(known[name][1] for name in names if name in known))
        assert used <= has | _FROM_PROMETHEUS, rule["alert"]
    assert len({rule["alert"] for rule in rules}) == len(rules)


@pytest.mark.parametrize("path", BOARDS, ids=lambda path: path.stem)
def test_dashboards_name_what_is_exported(path: Path) -> None:
    known, board = documented(), json.loads(path.read_text())
    found = list(expressions(board))
    assert len(found) > 15
    for title, expression in found:
        assert not wrong_in(expression, known), (title, wrong_in(expression, known))


@pytest.mark.parametrize("path", BOARDS, ids=lambda path: path.stem)
def test_dashboards_are_well_formed(path: Path) -> None:
    board = json.loads(path.read_text())
    assert board["uid"] == path.stem
    assert board["schemaVersion"] >= 39
    assert "id" not in board, "an id of one Grafana is not one of another"
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, f"{panel['title']} lies over another panel"
        assert place["x"] + place["w"] <= 24
        taken |= cells
        if panel["type"] == "row":
            continue
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["datasource"]["uid"] == "${datasource}", panel["title"]
        references = [target["refId"] for target in panel["targets"]]
        assert len(set(references)) == len(references)
    for link in board["links"]:
        assert link["url"].removeprefix("/d/") in {each.stem for each in BOARDS}


def test_what_dashboards_shall_show_is_shown() -> None:
    rows = {
        panel["title"]
        for path in BOARDS
        for panel in json.loads(path.read_text())["panels"]
        if panel["type"] == "row"
    }
    assert rows >= {"Tiers", "Latency of answers", "Queue", "Incidents", "Actions"}
    assert rows >= {"The process and memory", "What models are spent on"}


def test_provisioning_is_whole() -> None:
    (source,) = yaml.safe_load((GRAFANA / "provisioning/datasources/triaged.yaml").read_text())[
        "datasources"
    ]
    assert (source["type"], source["uid"]) == ("prometheus", "triaged-prometheus")
    assert not {"secureJsonData", "basicAuthPassword", "password"} & source.keys()
    (provider,) = yaml.safe_load((GRAFANA / "provisioning/dashboards/triaged.yaml").read_text())[
        "providers"
    ]
    assert provider["options"]["path"] == "/var/lib/grafana/dashboards"


def test_every_alert_has_a_timeline() -> None:
    names = {rule["alert"] for rule in alerts()}
    well, *others = yaml.safe_load(TIMELINE.read_text())["tests"]
    quiet = {check["alertname"] for check in well["alert_rule_test"] if "exp_alerts" not in check}
    assert quiet == names
    assert {other["name"] for other in others} == names
    for other in others:
        before, after = other["alert_rule_test"]
        assert "exp_alerts" not in before
        assert after["exp_alerts"]


def test_what_is_checked_is_found() -> None:
    """The comparison itself finds what is wrong."""
    known = documented()
    assert wrong_in("traiged_ready == 0", known)
    assert wrong_in('rate(triaged_events_total{outcomes="x"}[5m])', known)
    assert wrong_in("sum by (state) (triaged_ready)", known)
    assert wrong_in("triaged_queue_wait_seconds > 1", known)
    assert wrong_in("triaged_events_total > 1", known)
    assert wrong_in("1 + 1", known)
    assert not wrong_in('sum by (outcome) (rate(triaged_events_total{job="a"}[5m]))', known)


def test_promtool_agrees(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed; Debian has it in the package prometheus")

    def run(*arguments: str | Path) -> None:
        done = subprocess.run(
            [promtool, *map(str, arguments)], cwd=tmp_path, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr

    run("check", "rules", ALERTS)
    for config in ROOT.glob("deploy/*/prometheus.yml"):
        run("check", "config", "--syntax-only", config)
    shown = [
        {"record": "shown", "expr": re.sub(r"\$__rate_interval", "5m", expression)}
        for path in BOARDS
        for _, expression in expressions(json.loads(path.read_text()))
    ]
    rules = {"groups": [{"name": f"{at}", "rules": [each]} for at, each in enumerate(shown)]}
    (tmp_path / "shown.yml").write_text(yaml.safe_dump(rules))
    run("check", "rules", "--lint=none", "shown.yml")
    # Words are not compared: only when alerts fire, and with which labels.
    document = yaml.safe_load(ALERTS.read_text())
    for group in document["groups"]:
        for rule in group["rules"]:
            del rule["annotations"]
    (tmp_path / "alerts.yml").write_text(yaml.safe_dump(document))
    shutil.copy(TIMELINE, tmp_path)
    run("test", "rules", tmp_path / TIMELINE.name)
