"""The sandbox of ``make run``: synthetic members, their sign-ins and two apps, made once and found again the next time.

Everything in it is marked test, so nothing of it counts in the CMS usage report (42 CFR 422.119 and its parallels).
"""

import json
import os
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from server import __version__, launcher
from server.pages.try_page import CALLBACK
from server.pages.try_page import CLIENT_ID as PUBLIC_CLIENT
from server.progress import progress_bar
from server.settings import Settings
from server.storage import migrate
from server.storage.database import Database
from server.storage.ledger import EventLedger
from server.storage.population import Population

if TYPE_CHECKING:
    from seed_data.personas import Login

VAR = Path("var")
SEED = VAR / "seed"
FINGERPRINT = VAR / "loaded.sha256"
MANIFEST = VAR / "sandbox.json"
EXPECTED = VAR / "expected.json"
CONFIDENTIAL_CLIENT = "sandbox-confidential-app"
SHOWN_LOGINS = ("vantongeren", "castellanos", "gallagher-ruiz")


class SandboxError(Exception):
    """The sandbox cannot be made; the message says why."""


@dataclass(frozen=True, slots=True)
class Sandbox:
    """What a developer needs to know of the sandbox; ``client_secret`` is '' when an earlier run did not keep it."""

    base_url: str
    redirect_uris: tuple[str, ...]
    client_secret: str


def prepare(host: str, port: int) -> dict[str, str]:
    """Migrate, seed if need be, register the apps, write the manifest, print the welcome.

    Answers the environment with which the server is to be started. Raises SandboxError when told to be production, and
    LaunchError when the server could not start.
    """
    if os.environ.get("ENVIRONMENT", "test") != "test":
        raise SandboxError("the sandbox is never a production deployment; for one, see 'In production' in README.md")
    environment = _environment(host, port)
    os.environ.update(environment)
    settings = Settings()
    launcher.check(settings, host, port)
    database = Database(settings)
    try:
        migrate.upgrade(database)
        fingerprint = _fingerprint(settings)
        if _loaded(database) != fingerprint:
            _seed(database, settings)
            FINGERPRINT.write_text(fingerprint, "utf-8")
        sandbox = _register_apps(database, settings)
    finally:
        database.engine.dispose()
    MANIFEST.write_text(json.dumps(manifest(settings, sandbox), indent=2, ensure_ascii=False) + "\n", "utf-8")
    MANIFEST.chmod(0o600)
    print(welcome(settings))
    return environment


def _environment(host: str, port: int) -> dict[str, str]:
    import seed_data

    units = Path(seed_data.__path__[0]) / "reporting_units.toml"
    defaults = {
        "BASE_URL": launcher.local_base_url(host, port),
        "REPORTING_UNITS_FILE": str(units),
        "LOG_FORMAT": "text",
    }
    fixed = {"ENVIRONMENT": "test", "SANDBOX_FILE": str(MANIFEST)}
    return {name: os.environ.get(name) or value for name, value in defaults.items()} | fixed


def _fingerprint(settings: Settings) -> str:
    """Of everything the seeded database depends on: the generator, where it is loaded, and this version."""
    import seed_data

    digest = sha256(f"{__version__} {migrate.head()} {settings.database_url} {settings.sandbox_heavy}".encode())
    for path in sorted(Path(seed_data.__path__[0]).rglob("*")):
        if path.suffix in (".py", ".toml"):
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def _loaded(database: Database) -> str:
    """The fingerprint of what was loaded to the end, or '' when nothing was, or the database was made anew since."""
    with database.reading() as transaction:
        loaded = Population(transaction).loaded_at() > 0
    return FINGERPRINT.read_text("utf-8") if loaded and FINGERPRINT.exists() and EXPECTED.exists() else ""


def _seed(database: Database, settings: Settings) -> None:
    """Generate the synthetic payer's records, load them, let its members sign in, and write what is expected of each."""
    from seed_data.expected import expected
    from seed_data.generate import EVERYONE, MEMBERS, write_authorization_events, write_ndjson
    from server.ingest.load import load

    print("Generating the synthetic members' records ...", flush=True)
    members = EVERYONE if settings.sandbox_heavy else MEMBERS
    paths = [*write_ndjson(SEED, members=members), write_authorization_events(SEED)]
    with progress_bar("Loading") as advance:
        report = load(database, settings, paths, on_progress=advance)
    if report.exit_code:
        raise SandboxError(f"the seed data did not load: {report.rejected[:1] or report.not_loaded}")
    add_sign_ins(database, settings)
    EXPECTED.write_text(json.dumps(expected(members), indent=1, ensure_ascii=False) + "\n", "utf-8")


def add_sign_ins(database: Database, settings: Settings) -> None:
    """Let the synthetic members, and those who act for them, sign in; mark every member test."""
    from server.authorization.accounts import add_account, mark_test_member

    for login in _logins(settings):
        members = [
            (row.patient, row.relationship, row.related_person, row.authority, row.until) for row in login.acts_for
        ]
        add_account(database, login.username, login.password, login.display_name, members)
        for row in login.acts_for:
            mark_test_member(database, row.patient)


def _logins(settings: Settings) -> "tuple[Login, ...]":
    """The sign-ins of the members that this sandbox has."""
    from seed_data.personas import FIVE_THOUSAND, LOGINS

    return tuple(login for login in LOGINS if settings.sandbox_heavy or login.username != FIVE_THOUSAND.key)


def _register_apps(database: Database, settings: Settings) -> Sandbox:
    """Two apps, the same ids and redirect URIs every time: one without a secret, one with."""
    from server.authorization.clients import register

    own = settings.base_url + CALLBACK
    callbacks = (
        f"http://127.0.0.1:8000{CALLBACK}",
        "http://localhost:3000/callback",
        "http://127.0.0.1:8765/callback",
    )
    redirect_uris = tuple(dict.fromkeys((own, *callbacks)))
    ledger = EventLedger(database)
    register(ledger, settings, "Sandbox app", redirect_uris, environment="test", client_id=PUBLIC_CLIENT)
    _, secret = register(
        ledger,
        settings,
        "Sandbox app with a secret",
        redirect_uris,
        authentication="client_secret_basic",
        environment="test",
        client_id=CONFIDENTIAL_CLIENT,
    )
    return Sandbox(settings.base_url, redirect_uris, secret or _kept_secret(settings))


def _kept_secret(settings: Settings) -> str:
    """The confidential app's secret from an earlier manifest of the same database: the database knows only its SHA-256."""
    try:
        kept = json.loads(MANIFEST.read_text("utf-8"))
        if kept["database_url"] == settings.database_url:
            return str(kept["confidential_client"]["client_secret"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return ""


def manifest(settings: Settings, sandbox: Sandbox) -> dict[str, object]:
    """What programs read instead of the welcome: addresses, apps, sign-ins."""
    from seed_data.personas import FIVE_THOUSAND

    stories, refused = _stories(), _refused()
    return {
        "base_url": settings.base_url,
        "fhir_base": settings.fhir_base,
        "database_url": settings.database_url,
        "client": {"client_id": PUBLIC_CLIENT, "redirect_uris": sandbox.redirect_uris},
        "confidential_client": {
            "client_id": CONFIDENTIAL_CLIENT,
            "client_secret": sandbox.client_secret,
            "redirect_uris": sandbox.redirect_uris,
        },
        "logins": [
            {
                "username": login.username,
                "password": login.password,
                "name": login.display_name,
                "story": stories.get(login.username, ""),
                "patients": [patient for patient, _ in login.members],
                "refused": [patient for patient, _ in login.members if patient in refused],
                "heavy": login.username == FIVE_THOUSAND.key,
            }
            for login in sorted(_logins(settings), key=lambda login: login.username not in SHOWN_LOGINS)
        ],
    }


def sandbox_usernames() -> tuple[str, ...]:
    """The sign-ins of the sandbox; their passwords are published."""
    from seed_data.personas import LOGINS

    return tuple(login.username for login in LOGINS)


def _stories() -> dict[str, str]:
    """Who each person is, and what a member's records tell, by username."""
    from seed_data.personas import EVERYONE

    own = {member.key: member.story for member in EVERYONE}
    others = {row.person.key: row.person.story for member in EVERYONE for row in member.representatives}
    guardians = {member.guardian.key: member.guardian.story for member in EVERYONE if member.guardian}
    return others | guardians | own


def _refused() -> set[str]:
    """The members whose records no app gets any more (with FORMER_MEMBERS=refuse)."""
    from seed_data.personas import EVERYONE
    from seed_data.personas.answers import ANSWERS

    return {member.id for member in EVERYONE if member.key in ANSWERS and ANSWERS[member.key].refused}


def welcome(settings: Settings) -> str:
    """What ``make run`` prints before it serves."""
    from seed_data.personas import LOGINS

    stories = _stories()
    logins = [login for login in LOGINS if login.username in SHOWN_LOGINS]
    lines = [
        "",
        f"  {settings.payer_name}: a sandbox with synthetic members",
        "",
        f"  FHIR base    {settings.fhir_base}",
        f"  Client id    {PUBLIC_CLIENT}  (public, PKCE; {CONFIDENTIAL_CLIENT} has a secret, see {MANIFEST})",
        "",
        "  Members to sign in as, with their passwords",
        *(f"    {login.username:<16}{login.password:<26}{stories[login.username]}" for login in logins),
        "",
        "  Where to look next",
        f"    {settings.base_url}/try        a sample app, in the browser",
        f"    {settings.base_url}/docs       for developers",
        f"    {settings.base_url}/docs/sandbox/members   all members, and what a correct app shows of each",
        f"    {settings.base_url}/account    a member's connected apps",
        "    README.md, 'Your first request'; all sign-ins are in " + str(MANIFEST),
        "",
        "  Ctrl-C stops it.",
    ]
    return "\n".join(lines)
