"""The doctor and a server over TLS: certificates that are trusted or not and last or not, TLS versions, HSTS.

https://www.rfc-editor.org/rfc/rfc9325 and https://cryptography.io/en/latest/x509/
"""

import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from server import clock
from server.doctor import transport_checks
from server.doctor.findings import MissingError, Outcome
from server.doctor.site import Acquaintance, Site, UnusableError, find
from server.doctor.web import Limits, Web
from tests.doctor.faulty import Answered, Asked, Fault
from tests.doctor.payer import Patient, complaints, payer, skips
from tests.lasting import lasting_database

pytestmark = pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")


def certificate(path: Path, days: int) -> Path:
    """A certificate of this machine that vouches for itself, with its key, valid for some days."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = clock.from_microseconds(clock.now_microseconds())
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=2))
        .not_valid_after(now + timedelta(days=days, hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    path.write_bytes(private + made.public_bytes(pem))
    return path


@pytest.fixture(scope="module")
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Patient]:
    """A server over TLS, whose answers say HSTS, as a proxy's would."""
    own = certificate(tmp_path_factory.mktemp("tls") / "long.pem", 300)
    with lasting_database("sqlite", request) as url, payer(url, own) as patient:
        patient.layer.fault = Fault("", "", lambda asked: True, answered=_strict)
        yield patient


def _strict(answer: Answered) -> None:
    answer.headers["strict-transport-security"] = "max-age=31536000"


def test_our_server_over_tls_passes_every_check_and_none_is_skipped(server: Patient) -> None:
    diagnosis = server.examined()
    assert complaints(diagnosis) == {}
    assert skips(diagnosis) == set()


def test_a_certificate_that_nobody_vouches_for_is_named_and_nothing_is_asked(server: Patient) -> None:
    with Web() as web, pytest.raises(UnusableError, match="certificate is not trusted"):
        find(web, server.base_url, Acquaintance())


def test_without_hsts_there_is_a_warning(server: Patient) -> None:
    kept, server.layer.fault = server.layer.fault, None
    try:
        assert set(complaints(server.examined(Acquaintance()))) == {"cors-token", "hsts"}
    finally:
        server.layer.fault = kept


def test_an_endpoint_over_http_elsewhere_fails(server: Patient) -> None:
    def plain(answer: Answered) -> None:
        _strict(answer)
        answer.json(lambda smart: smart.update(registration_endpoint="http://payer.example/register"))

    def is_smart(asked: Asked) -> bool:
        return asked.path == "/fhir/.well-known/smart-configuration"

    kept = server.layer.fault
    server.layer.fault = Fault("https", "an endpoint", is_smart, answered=plain)
    try:
        assert complaints(server.examined(Acquaintance()))["https"].outcome is Outcome.FAIL
    finally:
        server.layer.fault = kept


@contextmanager
def handshakes(pem: Path, newest: ssl.TLSVersion | None = None) -> Iterator[Site]:
    """A site behind a bare TLS listener: it shakes hands, and no more."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if newest is not None:
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = newest
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            try:
                context.wrap_socket(connection, server_side=True).close()
            except OSError:
                connection.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        with Web(Limits(seconds=5), pem) as web:
            yield Site(web, f"https://127.0.0.1:{listening.getsockname()[1]}/fhir", Acquaintance())
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join(5)


@pytest.mark.parametrize(("days", "outcome"), [(3, Outcome.FAIL), (20, Outcome.WARN), (90, Outcome.PASS)])
def test_a_certificate_should_last(tmp_path: Path, days: int, outcome: Outcome) -> None:
    with handshakes(certificate(tmp_path / "own.pem", days)) as site:
        finding = transport_checks.certificate(site)
    assert finding.outcome is outcome
    assert f"{days} days" in finding.found


def test_tls_1_2_and_newer_passes(tmp_path: Path) -> None:
    with handshakes(certificate(tmp_path / "own.pem", 90)) as site:
        finding = transport_checks.tls_version(site)
    assert (finding.outcome, "TLSv1.3" in finding.found) == (Outcome.PASS, True)


def test_tls_1_1_fails(tmp_path: Path) -> None:
    with handshakes(certificate(tmp_path / "own.pem", 90), ssl.TLSVersion.TLSv1) as site:
        finding = transport_checks.tls_version(site)
    assert finding.outcome is Outcome.FAIL
    assert "TLSv1.1" in finding.found


def test_an_endpoint_whose_certificate_is_not_trusted_fails(server: Patient, tmp_path: Path) -> None:
    with handshakes(certificate(tmp_path / "another.pem", 90)) as other:
        address = other.base.removesuffix("/fhir")

        def elsewhere(answer: Answered) -> None:
            _strict(answer)
            answer.json(lambda smart: smart.update(management_endpoint=f"{address}/account"))

        kept = server.layer.fault
        server.layer.fault = Fault("", "", lambda asked: asked.path.endswith("smart-configuration"), answered=elsewhere)
        try:
            found = complaints(server.examined(Acquaintance()))
        finally:
            server.layer.fault = kept
    assert "no connection: self" in found["certificate"].found
    assert "certificate is not trusted" in found["endpoints"].found


def test_without_https_there_is_no_certificate_to_look_at() -> None:
    with Web() as web, pytest.raises(MissingError, match="no https"):
        transport_checks.certificate(Site(web, "http://127.0.0.1:9/fhir", Acquaintance()))
