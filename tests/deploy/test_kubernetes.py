"""The Kubernetes manifests: by the official schemas, confined, and true to the server: its settings, commands, port, probes and times.

https://kubernetes.io/docs/concepts/security/pod-security-standards/ - the schemas are of a package, so that no cluster is needed.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
from starlette.testclient import TestClient

from server import __version__
from server.ingest.enrolment import read_unit_rows
from server.production import is_well_known
from server.settings import Settings
from server.settings.secret_files import SECRETS
from tests.deploy.facts import (
    DEPLOY,
    PORT,
    SETTINGS,
    SHUTDOWN_SECONDS,
    USER,
    commands_in,
    documents,
    what_is_wrong_with,
)

FOLDER = DEPLOY / "kubernetes"
OLDEST = "1.30"
"""The oldest version that has a preStop which sleeps."""
KUSTOMIZATIONS = {path.parent: documents(path)[0] for path in FOLDER.rglob("kustomization.yaml")}
FILES = sorted(path for path in FOLDER.rglob("*.yaml") if path.name != "kustomization.yaml")
MANIFESTS = {
    f"{path.parent.name}/{path.stem}/{one['metadata']['name']}": one for path in FILES for one in documents(path)
}


def settings_file() -> dict[str, str]:
    """What the ConfigMap of settings is made of."""
    lines = (FOLDER / "base" / "settings.env").read_text("utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def pods() -> dict[str, dict[str, Any]]:
    """The pod of everything that runs, by its manifest's name."""
    found = {}
    for name, one in MANIFESTS.items():
        spec = one.get("spec", {})
        template = spec.get("template") or spec.get("jobTemplate", {}).get("spec", {}).get("template")
        if template:
            found[name] = template
    return found


PODS = pods()
DEPLOYMENT = MANIFESTS["server/deployment/patient-access"]


def containers() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every container, with its manifest's name."""
    for name, template in PODS.items():
        for one in template["spec"]["containers"]:
            yield name, one


@pytest.mark.parametrize("version", [OLDEST, kubernetes_validate.latest_version()])
@pytest.mark.parametrize("name", MANIFESTS)
def test_a_manifest_follows_the_official_schema(name: str, version: str) -> None:
    kubernetes_validate.validate(MANIFESTS[name], version, strict=True)


def test_the_schemas_would_find_a_mistake() -> None:
    wrong = DEPLOYMENT | {"spec": DEPLOYMENT["spec"] | {"replica": 2}}
    with pytest.raises(kubernetes_validate.ValidationError, match="replica"):
        kubernetes_validate.validate(wrong, OLDEST, strict=True)


def test_everything_that_is_there_is_applied_but_for_the_example_of_secrets() -> None:
    listed = {
        (folder / resource).resolve()
        for folder, one in KUSTOMIZATIONS.items()
        for resource in (*one.get("resources", ()), *one.get("components", ()))
    }
    assert all(path.exists() for path in listed)
    assert {path for path in FILES if path not in listed} == {FOLDER / "secret.example.yaml"}
    assert {folder for folder in KUSTOMIZATIONS if folder not in listed} == {FOLDER / "migrate", FOLDER / "server"}
    for folder, one in KUSTOMIZATIONS.items():
        for generated in one.get("configMapGenerator", ()):
            for file in (*generated.get("envs", ()), *generated.get("files", ())):
                assert (folder / file).is_file()


def test_every_image_is_named_by_the_release() -> None:
    (release,) = [one for folder, one in KUSTOMIZATIONS.items() if folder.name == "release"]
    assert {one["image"] for _, one in containers()} == {image["name"] for image in release["images"]}
    assert {image["newTag"] for image in release["images"]} == {__version__}


def test_kinds_that_a_payer_needs_are_all_there() -> None:
    kinds = {one["kind"] for one in MANIFESTS.values()}
    assert kinds == {
        *("Namespace", "ServiceAccount", "NetworkPolicy", "Secret", "Job", "Deployment", "Service", "Ingress"),
        *("PodDisruptionBudget", "HorizontalPodAutoscaler", "CronJob", "PersistentVolumeClaim"),
    }


@pytest.mark.parametrize("name", PODS)
def test_a_pod_is_confined_as_the_strictest_standard_asks(name: str) -> None:
    spec = PODS[name]["spec"]
    own = spec["securityContext"]
    assert (own["runAsNonRoot"], own["runAsUser"], own["seccompProfile"]["type"]) == (True, USER, "RuntimeDefault")
    assert spec["automountServiceAccountToken"] is False
    for one in spec["containers"]:
        confined = one["securityContext"]
        assert confined["allowPrivilegeEscalation"] is False
        assert confined["readOnlyRootFilesystem"] is True
        assert confined["capabilities"] == {"drop": ["ALL"]}
        assert {"cpu", "memory"} <= one["resources"]["requests"].keys()
        assert "memory" in one["resources"]["limits"]
        writable = {mount["mountPath"] for mount in one["volumeMounts"] if not mount.get("readOnly")}
        assert writable <= {"/tmp", "/anchors", "/backups"}
        assert {mount["name"] for mount in one["volumeMounts"]} == {volume["name"] for volume in spec["volumes"]}


@pytest.mark.parametrize("name", [name for name, _ in containers()])
def test_a_container_runs_a_command_of_the_server_with_its_settings_and_secrets(name: str) -> None:
    (one,) = PODS[name]["spec"]["containers"]
    calls = list(commands_in(one["args"][0])) if "command" in one else [one["args"]]
    assert calls
    assert [wrong for wrong in map(what_is_wrong_with, calls) if wrong] == []
    assert one["image"] == ("patient-access-backup" if calls[0][0] == "backup" else "patient-access")
    assert one["envFrom"] == [{"configMapRef": {"name": "patient-access-settings"}}]
    assert "env" not in one
    (mount,) = [mount for mount in one["volumeMounts"] if mount["name"] == "secrets"]
    assert mount["mountPath"] == settings_file()["SECRETS_DIRECTORY"]
    (volume,) = [volume for volume in PODS[name]["spec"]["volumes"] if volume["name"] == "secrets"]
    assert volume["secret"] == {"secretName": "patient-access", "defaultMode": 0o440}


def test_settings_are_settings_that_the_server_takes_and_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    given = settings_file()
    assert given.keys() - SETTINGS == set()
    assert {name.lower() for name in given} & set(SECRETS) == set()
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        if name != "SECRETS_DIRECTORY":  # which is there in a pod only
            monkeypatch.setenv(name, value)
    settings = Settings()
    assert (settings.environment, settings.base_url) == ("production", "https://api.payer.example")
    assert settings.reporting_units_file == Path("/etc/patient-access/reporting_units.toml")
    assert read_unit_rows(FOLDER / "base" / "reporting_units.toml")


def test_the_example_s_secrets_are_those_of_the_server_which_refuses_them() -> None:
    example = MANIFESTS["kubernetes/secret.example/patient-access"]["stringData"]
    assert example.keys() <= set(SECRETS)
    assert all(is_well_known(value) for value in example.values())
    assert not [one for name, one in MANIFESTS.items() if one["kind"] == "Secret" and "example" not in name]


def test_probes_ask_addresses_that_answer_at_the_port_that_is_served(web: TestClient) -> None:
    (one,) = DEPLOYMENT["spec"]["template"]["spec"]["containers"]
    assert one["ports"] == [{"name": "http", "containerPort": PORT}]
    paths = {probe: one[probe]["httpGet"] for probe in ("startupProbe", "readinessProbe", "livenessProbe")}
    assert {ask["port"] for ask in paths.values()} == {"http"}
    assert [web.get(ask["path"]).status_code for ask in paths.values()] == [200, 200, 200]
    assert paths["livenessProbe"]["path"] == "/livez"
    assert paths["readinessProbe"]["path"] == "/readyz"
    assert MANIFESTS["server/service/patient-access"]["spec"]["ports"][0]["targetPort"] == "http"
    ports = MANIFESTS["base/networkpolicy/patient-access"]["spec"]["ingress"][0]["ports"]
    assert ports == [{"port": PORT, "protocol": "TCP"}]


def test_a_pod_may_finish_what_it_does_before_it_is_killed() -> None:
    spec = DEPLOYMENT["spec"]["template"]["spec"]
    waits = spec["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    ending = float(settings_file().get("SHUTDOWN_SECONDS", SHUTDOWN_SECONDS))
    assert spec["terminationGracePeriodSeconds"] >= waits + ending + 5
    assert DEPLOYMENT["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_selectors_find_the_server_s_pods_and_no_job_s() -> None:
    wanted = {"app.kubernetes.io/name": "patient-access"}
    assert MANIFESTS["server/service/patient-access"]["spec"]["selector"] == wanted
    for name in ("server/poddisruptionbudget/patient-access", "server/deployment/patient-access"):
        assert MANIFESTS[name]["spec"]["selector"]["matchLabels"] == wanted
    found = [name for name, pod in PODS.items() if wanted.items() <= pod["metadata"]["labels"].items()]
    assert found == ["server/deployment/patient-access"]
    policed = MANIFESTS["base/networkpolicy/patient-access"]["spec"]["podSelector"]["matchLabels"]
    assert all(policed.items() <= pod["metadata"]["labels"].items() for pod in PODS.values())
    target = MANIFESTS["server/horizontalpodautoscaler/patient-access"]["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", DEPLOYMENT["metadata"]["name"])


def test_the_address_is_the_ingress_s_and_tls_covers_it() -> None:
    spec = MANIFESTS["server/ingress/patient-access"]["spec"]
    (rule,) = spec["rules"]
    assert settings_file()["BASE_URL"] == f"https://{rule['host']}"
    assert spec["tls"][0]["hosts"] == [rule["host"]]


def test_the_ingress_logs_no_queries() -> None:
    annotations = MANIFESTS["server/ingress/patient-access"]["metadata"]["annotations"]
    assert annotations["nginx.ingress.kubernetes.io/enable-access-log"] == "false"


def test_every_claim_of_a_volume_is_made() -> None:
    claims = {one["metadata"]["name"] for one in MANIFESTS.values() if one["kind"] == "PersistentVolumeClaim"}
    used = {
        volume["persistentVolumeClaim"]["claimName"]
        for pod in PODS.values()
        for volume in pod["spec"]["volumes"]
        if "persistentVolumeClaim" in volume
    }
    assert used == claims
