"""Starts the web server: uvicorn with uvloop and httptools, one or several workers, with memory settings that suit large pages.

https://www.uvicorn.org/settings/ and https://www.gnu.org/software/libc/manual/html_node/Memory-Allocation-Tunables.html
"""

import importlib.util
import os
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from server.settings import Settings

MALLOC = {"MALLOC_MMAP_THRESHOLD_": str(16 * 1024 * 1024), "MALLOC_TRIM_THRESHOLD_": str(256 * 1024 * 1024)}
"""glibc keeps the memory of a 400 KB page for the next one instead of giving it back each time; not the 19 MB of a password's hash,
of which every thread would keep as much."""


class LaunchError(Exception):
    """The server cannot start; the message says what to change."""


def local_base_url(host: str, port: int) -> str:
    """The address of a server on this machine; one that listens on every interface is called by its loopback name."""
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "::1": "[::1]"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"http://{name}:{port}"


def tell(settings: "Settings", text: str, level: str = "info") -> None:
    """Write to standard error what somebody who starts the server should know, as the server's log is written."""
    from server import logs

    print(logs.line(settings.log_format, level, text, "starting"), file=sys.stderr)


def check(settings: "Settings", host: str, port: int) -> None:
    """Raises LaunchError when the server would not start, or would start to do harm."""
    for module in ("uvloop", "httptools"):
        if importlib.util.find_spec(module) is None:
            raise LaunchError(f"{module} is missing, and without it requests stall: pip install {module}")
    if settings.otel_exporter_otlp_endpoint is not None:
        from server.tracing import check_installed

        check_installed()
    if settings.environment == "production" and settings.secret_key is None:
        raise LaunchError("SECRET_KEY is not set; a production deployment needs one of at least 32 characters")
    if settings.reporting_units_file is not None:
        from server.ingest.enrolment import read_unit_rows

        rows = read_unit_rows(settings.reporting_units_file)  # raises what is wrong with it
        lines = {row.unit.line_of_business for row in rows} - set(settings.served_lines_of_business)
        if lines:
            tell(settings, f"members of {', '.join(sorted(lines))} get no access; see SERVED_LINES_OF_BUSINESS")
    if settings.environment == "production" and settings.former_members == "allow":
        tell(settings, "FORMER_MEMBERS is allow: members whose coverage has ended keep API access", "warning")
    from server.authorization.brands import brands

    brands(settings)  # raises what is wrong with them
    if settings.software_statement_issuers_file is not None:
        from server.authorization.software_statements import read_issuers

        read_issuers(settings.software_statement_issuers_file, local=settings.environment != "production")
    if settings.sensitivity_policies_file is not None:
        from server.authorization.sensitivity import MEMBER, read_policies

        for policy in read_policies(settings.sensitivity_policies_file):  # raises what is wrong with it
            if MEMBER in policy.audience:
                tell(settings, f"the policy {policy.slug} withholds records from members themselves", "warning")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise LaunchError(f"cannot listen on {host} port {port} ({reason}); choose another with PORT=") from error


def serve_instead(host: str, port: int, workers: int, environment: dict[str, str]) -> NoReturn:
    """Become ``patient-access serve``: the same process, started afresh with that environment."""
    options = ["serve", "--host", host, "--port", str(port), "--workers", str(workers)]
    code = "from server.cli import main; main()"
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(  # noqa: S606 - our own interpreter with our own arguments
        sys.executable, [sys.executable, "-c", code, *options], os.environ | MALLOC | environment
    )


def run(host: str, port: int, workers: int, settings: "Settings") -> int:
    """Serve until a signal arrives; the exit code. Settings travel to the workers in the environment.

    Of a client's address only what TRUSTED_PROXIES say in X-Forwarded-For is believed.
    """
    import uvicorn

    from server import logs, supervision

    logs.configure(settings.log_format)
    config = uvicorn.Config(
        "server.supervision:create_worker",
        factory=True,
        host=host,
        port=port,
        workers=workers,
        loop="uvloop",
        http="server.fhir.http_protocol:HTTPProtocol",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
        timeout_keep_alive=65,
    )
    with _directory_of_figures(settings):
        return supervision.run(config, settings)


@contextmanager
def _directory_of_figures(settings: "Settings") -> Iterator[None]:
    """Where the workers keep what they count, if anybody may read it: a directory of their own, unless a setting names one."""
    if settings.metrics_token is None or settings.metrics_directory is not None:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="patient-access-figures-") as directory:
        os.environ["METRICS_DIRECTORY"] = directory
        yield
