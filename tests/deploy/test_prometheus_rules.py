"""Alerts and dashboard: PromQL that parses, over series and labels that /metrics really has, with a page that says what to do.

https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules/
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import promql_parser
import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from server.figures import METRICS
from server.pages.prometheus import ASKED
from tests.deploy.conftest import METRICS_TOKEN
from tests.deploy.facts import DEPLOY, ROOT, documents, seconds

FOLDER = DEPLOY / "prometheus"
(RULES,) = documents(FOLDER / "alerts.yml")
ALERTS: dict[str, dict[str, Any]] = {rule["alert"]: rule for group in RULES["groups"] for rule in group["rules"]}
DASHBOARD = json.loads((FOLDER / "dashboard.json").read_text("utf-8"))
PANELS = {
    f"{panel['title']} {target['refId']}": target["expr"]
    for panel in DASHBOARD["panels"]
    for target in panel["targets"]
}
QUERIES = {name: rule["expr"] for name, rule in ALERTS.items()} | PANELS
OTHERS = {
    *("up", "node_filesystem_avail_bytes", "node_filesystem_size_bytes"),
    *("kubelet_volume_stats_available_bytes", "kubelet_volume_stats_capacity_bytes"),
}
"""Series of Prometheus itself, of the node exporter and of the kubelet."""
ADDED = {"le", "instance", "job", "pod"}
"""Labels of a histogram, and those that Prometheus adds."""
ROWS = {metric.name: metric for metric in (*METRICS, *ASKED)}


def selectors(expression: Any) -> Iterator[Any]:
    """Every selector of series in a query."""
    if isinstance(expression, promql_parser.VectorSelector):
        yield expression
    for name in ("lhs", "rhs", "expr", "param", "vector_selector", "vs"):
        part = getattr(expression, name, None)
        if part is not None and not isinstance(part, str):
            yield from selectors(part)
    for argument in getattr(expression, "args", None) or ():
        yield from selectors(argument)


def names(query: str) -> set[str]:
    """The names of the series that a query reads."""
    return {one.name for one in selectors(promql_parser.parse(query))}


def row(name: str) -> str:
    """The name of the metric that a series is of: a histogram has three."""
    return re.sub(r"_(bucket|count|sum)$", "", name)


@pytest.fixture(scope="module")
def exposed(web: TestClient) -> set[str]:
    """The names of all series at /metrics of a server that answered something."""
    assert web.get("/fhir/metadata").status_code == 200
    assert web.get("/fhir/Patient").status_code == 401
    assert web.get("/metrics").status_code == 401
    reply = web.get("/metrics", headers={"Authorization": f"Bearer {METRICS_TOKEN}"})
    assert reply.status_code == 200
    families = list(text_string_to_metric_families(reply.text))
    return {family.name for family in families} | {sample.name for family in families for sample in family.samples}


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_parses_and_its_series_and_labels_are_the_server_s(name: str) -> None:
    read = list(selectors(promql_parser.parse(QUERIES[name])))
    assert read
    for one in read:
        if one.name in OTHERS:
            continue
        metric = ROWS.get(row(one.name)) or ROWS[one.name]
        used = {matcher.name for matcher in one.matchers.matchers}
        assert used <= {*metric.labels, "worker", *ADDED}, one.name


@pytest.mark.parametrize("name", QUERIES)
def test_what_a_query_sums_by_is_a_label_of_its_series(name: str) -> None:
    for text in re.findall(r"\b(?:by|without) \(([^)]*)\)", QUERIES[name]):
        known = {label for series in names(QUERIES[name]) - OTHERS for label in ROWS[row(series)].labels} | ADDED
        assert {label.strip() for label in text.split(",")} <= known | {"worker"}


def test_every_series_that_is_read_is_at_metrics(exposed: set[str]) -> None:
    read = {name for query in QUERIES.values() for name in names(query)} - OTHERS
    missing = {name for name in read if name not in exposed and row(name).removesuffix("_total") not in exposed}
    assert missing == set()


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_how_urgent_it_is_and_where_help_stands(name: str) -> None:
    rule = ALERTS[name]
    assert rule.keys() <= {"alert", "expr", "for", "labels", "annotations"}
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert "for" not in rule or seconds(rule["for"]) > 0
    assert rule["annotations"]["summary"].endswith(".")
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    headings = re.findall(r"^#+ (.+)$", (ROOT / page).read_text("utf-8"), re.MULTILINE)
    assert anchor in {heading.lower().replace(" ", "-") for heading in headings}


def test_what_an_alert_tells_has_labels_that_its_query_leaves() -> None:
    for name, rule in ALERTS.items():
        for label in re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]):
            assert label == "instance" or f"{label}" in rule["expr"], name


def test_the_dashboard_has_every_panel_once_and_names_no_source_of_its_own() -> None:
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    assert {panel["datasource"]["uid"] for panel in DASHBOARD["panels"]} == {"${datasource}"}


def test_prometheus_asks_where_the_figures_are() -> None:
    (cluster,) = documents(FOLDER / "kubernetes.yml")
    (compose,) = documents(FOLDER / "prometheus.yml")
    for configuration in (cluster, compose):
        (job,) = configuration["scrape_configs"]
        assert job["job_name"] == "patient-access"
        assert "metrics_path" not in job  # by default it is /metrics
        assert job["authorization"]["credentials_file"].endswith("/metrics_token")
