"""compose.yaml: by the schema of the specification, and true to the server: its settings, commands, port, probes and times.

https://github.com/compose-spec/compose-spec/blob/main/spec.md
"""

import ipaddress
import re
import ssl
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from server import __version__
from server.production import dangers
from server.settings import Settings
from server.settings.secret_files import SECRETS
from tests.deploy.facts import (
    DEPLOY,
    PORT,
    ROOT,
    SETTINGS,
    SHUTDOWN_SECONDS,
    commands_in,
    documents,
    program,
    seconds,
    what_is_wrong_with,
)
from tests.deploy.image import instructions

COMPOSE = ROOT / "compose.yaml"
(FILE,) = documents(COMPOSE)
SERVICES: dict[str, dict[str, Any]] = FILE["services"]
OURS = {name: one for name, one in SERVICES.items() if one["image"].startswith("patient-access")}
SERVERS = {name: one for name, one in OURS.items() if name.startswith("server-")}
MAKE_SECRETS = DEPLOY / "compose" / "make-secrets.sh"


def variables(service: dict[str, Any]) -> set[str]:
    """The names of a service's environment variables."""
    return set(service.get("environment", {}))


def test_it_follows_the_specification_s_schema() -> None:
    done = subprocess.run(
        [program("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", str(COMPOSE)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_schema_would_find_a_mistake(tmp_path: Path) -> None:
    wrong = tmp_path / "compose.yaml"
    wrong.write_text(COMPOSE.read_text("utf-8").replace("cap_drop:", "cap_dorp:"), "utf-8")
    done = subprocess.run(
        [program("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", str(wrong)], capture_output=True
    )
    assert done.returncode == 1


def test_two_servers_share_a_database_behind_one_proxy() -> None:
    assert set(SERVERS) == {"server-a", "server-b"}
    published = {name for name, one in SERVICES.items() if "ports" in one}
    assert published == {"proxy", "prometheus"}
    assert SERVICES["prometheus"]["ports"] == ["127.0.0.1:9090:9090"]
    conditions = [one["depends_on"]["migrate"]["condition"] for one in SERVERS.values()]
    assert conditions == ["service_completed_successfully"] * 2


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_confined(name: str) -> None:
    one = SERVICES[name]
    assert (one["read_only"], one["cap_drop"], one["security_opt"]) == (True, ["ALL"], ["no-new-privileges:true"])
    limits = one["deploy"]["resources"]["limits"]
    assert {"cpus", "memory", "pids"} <= limits.keys()
    assert "privileged" not in one
    assert "user" not in one if name in OURS else one["user"].split(":")[0].isdigit()
    image, _, tag = one["image"].partition(":")
    assert tag not in ("", "latest")
    assert "." not in image.split("/")[0]


@pytest.mark.parametrize("name", OURS)
def test_every_variable_is_a_setting_and_no_secret_is_among_them(name: str) -> None:
    assert variables(OURS[name]) - SETTINGS == set()
    assert variables(OURS[name]) & {secret.upper() for secret in SECRETS} == set()


def test_the_example_of_further_settings_has_settings_only() -> None:
    lines = (DEPLOY / "compose" / "settings.env.example").read_text("utf-8").splitlines()
    assert {line.partition("=")[0] for line in lines if line and not line.startswith("#")} - SETTINGS == set()


@pytest.mark.parametrize("name", OURS)
def test_every_command_is_one_of_the_server_s(name: str) -> None:
    one = OURS[name]
    scripts = one.get("command", ["serve"])
    calls = list(commands_in(scripts[0])) if "entrypoint" in one else [scripts]
    assert calls
    assert [wrong for wrong in map(what_is_wrong_with, calls) if wrong] == []


def test_our_images_are_built_from_stages_that_exist_and_have_the_project_s_version() -> None:
    stages = {one.text.rpartition(" AS ")[2] for one in instructions(ROOT / "Dockerfile") if one.word == "FROM"}
    assert {one["build"]["target"] for one in OURS.values()} <= stages
    assert {one["image"].partition(":")[2] for one in OURS.values()} == {__version__}


def test_volumes_of_ours_are_where_the_image_s_user_may_write() -> None:
    (writable,) = [one.text for one in instructions(ROOT / "Dockerfile") if one.word == "VOLUME"]
    targets = {mount.split(":")[1] for one in OURS.values() for mount in one.get("volumes", ())}
    assert targets == {writable}


def test_load_is_generated_by_workers_only_when_it_is_asked_for() -> None:
    master, worker = SERVICES["loadtest"], SERVICES["loadtest-worker"]
    assert master["profiles"] == worker["profiles"] == ["loadtest"]
    assert ("--master" in master["command"], "--worker" in worker["command"]) == (True, True)
    assert f"--expect-workers={worker['deploy']['replicas']}" in master["command"]
    assert {"SHAPE", "MINUTES"} <= set(re.findall(r"\$\{(\w+):-", " ".join(worker["command"])))


def test_every_secret_and_configuration_that_is_used_is_declared_and_none_is_left_over() -> None:
    for kind in ("secrets", "configs"):
        used = {
            entry if isinstance(entry, str) else entry["source"]
            for one in SERVICES.values()
            for entry in one.get(kind, ())
        }
        assert used == set(FILE[kind])
    assert set(OURS["server-a"]["secrets"]) <= set(SECRETS)


@pytest.mark.parametrize("name", FILE["configs"])
def test_every_configuration_is_there(name: str) -> None:
    path = FILE["configs"][name]["file"]
    default = re.sub(r"^\$\{\w+:-(.*)\}$", r"\1", path)
    assert (ROOT / default).is_file() or default == "./var/sandbox.json"  # which make run writes


@pytest.mark.parametrize("name", SERVERS)
def test_a_server_may_finish_what_it_does_before_it_is_killed(name: str) -> None:
    assert seconds(SERVERS[name]["stop_grace_period"]) >= SHUTDOWN_SECONDS + 5
    assert seconds(SERVICES["proxy"]["stop_grace_period"]) >= seconds(SERVERS[name]["stop_grace_period"])


def test_the_servers_believe_the_proxy_and_nobody_else() -> None:
    proxy = SERVICES["proxy"]["networks"]["front"]["ipv4_address"]
    subnet = ipaddress.ip_network(FILE["networks"]["front"]["ipam"]["config"][0]["subnet"])
    for one in SERVERS.values():
        assert one["environment"]["TRUSTED_PROXIES"] == proxy
        assert ipaddress.ip_address(one["networks"]["front"]["ipv4_address"]) in subnet
    assert ipaddress.ip_address(proxy) in subnet


def test_the_database_and_what_watches_cannot_reach_the_world() -> None:
    assert FILE["networks"]["data"]["internal"] is True
    assert FILE["networks"]["watch"]["internal"] is True
    assert SERVICES["database"]["networks"] == ["data"]
    assert "data" not in SERVICES["proxy"]["networks"]


def test_prometheus_asks_every_server_with_the_token_from_a_file() -> None:
    (configuration,) = documents(DEPLOY / "prometheus" / "prometheus.yml")
    (job,) = configuration["scrape_configs"]
    assert {target for group in job["static_configs"] for target in group["targets"]} == {
        f"{name}:{PORT}" for name in SERVERS
    }
    assert job["authorization"]["credentials_file"] == "/run/secrets/metrics_token"
    assert "metrics_token" in SERVICES["prometheus"]["secrets"]


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """The secrets as the script makes them."""
    subprocess.run([str(MAKE_SECRETS), str(tmp_path / "secrets"), "api.payer.example"], check=True, capture_output=True)
    return tmp_path / "secrets"


def test_the_secrets_that_are_made_are_those_that_are_used_and_fit_for_production(made: Path) -> None:
    assert {path.name for path in made.iterdir()} == set(FILE["secrets"])
    assert {Path(one["file"]).name for one in FILE["secrets"].values()} == set(FILE["secrets"])
    settings = Settings(secrets_directory=made, base_url="https://api.payer.example")
    assert dangers(settings) == []
    password = (made / "postgres_password").read_text("utf-8").strip()
    assert settings.database_url == f"postgresql://patient_access:{password}@database/patient_access"
    assert isinstance(settings.metrics_token, SecretStr)


def test_the_secrets_are_their_owner_s_alone_and_never_made_twice(made: Path) -> None:
    before = {path.name: path.read_bytes() for path in made.iterdir()}
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    again = subprocess.run([str(MAKE_SECRETS), str(made)], check=True, capture_output=True, text=True)
    assert {path.name: path.read_bytes() for path in made.iterdir()} == before
    assert "made" not in again.stdout
    assert again.stderr == ""


def test_the_certificate_to_try_with_goes_with_its_key(made: Path) -> None:
    ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(made / "tls_certificate", made / "tls_key")


@pytest.mark.parametrize(("host", "named"), [("api.1.example", "DNS:api.1.example"), ("203.0.113.7", "IP:203.0.113.7")])
def test_the_certificate_names_a_host_or_an_address(host: str, named: str, tmp_path: Path) -> None:
    subprocess.run([str(MAKE_SECRETS), str(tmp_path / "made"), host], check=True, capture_output=True)
    shown = subprocess.run(
        ["openssl", "x509", "-in", str(tmp_path / "made" / "tls_certificate"), "-noout", "-ext", "subjectAltName"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert named in shown.stdout.replace("IP Address", "IP")


def test_nothing_secret_can_be_committed() -> None:
    ignored = (ROOT / ".gitignore").read_text("utf-8").splitlines()
    assert {"deploy/compose/secrets/", "deploy/compose/settings.env", ".env"} <= set(ignored)
