"""Starts the web server: uvicorn with uvloop and httptools, one or several workers, with memory settings that suit large pages.

https://www.uvicorn.org/settings/ and https://www.gnu.org/software/libc/manual/html_node/Memory-Allocation-Tunables.html
"""

import importlib.util
import os
import socket
import sys
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from server.settings import Settings

MALLOC = {"MALLOC_MMAP_THRESHOLD_": str(64 * 1024 * 1024), "MALLOC_TRIM_THRESHOLD_": str(256 * 1024 * 1024)}
"""glibc keeps the memory of a 400 KB page for the next one instead of giving it back each time."""

GRACE_SECONDS = 10
"""How long requests that run may go on after a signal to stop; what stops the process waits longer (docs/deployment.md)."""


class LaunchError(Exception):
    """The server cannot start; the message says what to change."""


def local_base_url(host: str, port: int) -> str:
    """The address of a server on this machine; one that listens on every interface is called by its loopback name."""
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "::1": "[::1]"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"http://{name}:{port}"


def check(settings: "Settings", host: str, port: int) -> None:
    """Raises LaunchError when the server would not start, or would start to do harm."""
    for module in ("uvloop", "httptools"):
        if importlib.util.find_spec(module) is None:
            raise LaunchError(f"{module} is missing, and without it requests stall: pip install {module}")
    if settings.environment == "production" and settings.secret_key is None:
        raise LaunchError("SECRET_KEY is not set; a production deployment needs one of at least 32 characters")
    if settings.reporting_units_file is not None:
        from server.ingest.enrolment import read_unit_rows

        rows = read_unit_rows(settings.reporting_units_file)  # raises what is wrong with it
        lines = {row.unit.line_of_business for row in rows} - set(settings.served_lines_of_business)
        if lines:
            told = f"members of {', '.join(sorted(lines))} get no access; see SERVED_LINES_OF_BUSINESS"
            print(f"note: {told}", file=sys.stderr)
    if settings.environment == "production" and settings.former_members == "allow":
        print("warning: FORMER_MEMBERS is allow: members whose coverage has ended keep API access", file=sys.stderr)
    from server.authorization.brands import brands

    brands(settings)  # raises what is wrong with them
    if settings.software_statement_issuers_file is not None:
        from server.authorization.software_statements import read_issuers

        read_issuers(settings.software_statement_issuers_file, local=settings.environment != "production")
    if settings.sensitivity_policies_file is not None:
        from server.authorization.sensitivity import MEMBER, read_policies

        for policy in read_policies(settings.sensitivity_policies_file):  # raises what is wrong with it
            if MEMBER in policy.audience:
                print(f"warning: the policy {policy.slug} withholds records from members themselves", file=sys.stderr)
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


def run(host: str, port: int, workers: int, trusted_proxies: tuple[str, ...] = ()) -> None:
    """Serve until a signal arrives. Settings travel to the workers in the environment.

    Of a client's address only what ``trusted_proxies`` say in X-Forwarded-For is believed.
    """
    import uvicorn

    uvicorn.run(
        "server.app:create_app",
        factory=True,
        host=host,
        port=port,
        workers=workers,
        loop="uvloop",
        http="server.fhir.http_protocol:HTTPProtocol",
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=bool(trusted_proxies),
        forwarded_allow_ips=list(trusted_proxies),
        timeout_keep_alive=65,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
