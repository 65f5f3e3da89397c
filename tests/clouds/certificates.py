"""An authority of a test's own, and certificates of it for whatever host somebody asks for."""

import datetime as dt
import ipaddress
import ssl
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Authority:
    """``file``: its certificate, to be trusted; ``place``: a folder for those of hosts."""

    place: Path
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def file(self) -> Path:
        return self.place / "authority.pem"

    def serving(self, host: str) -> ssl.SSLContext:
        """As that host, to whoever trusts the authority."""
        key = ec.generate_private_key(ec.SECP256R1())
        name: x509.GeneralName = x509.DNSName(host)
        with suppress(ValueError):
            name = x509.IPAddress(ipaddress.ip_address(host))
        made = _built(host, self.certificate.subject, key).add_extension(
            x509.SubjectAlternativeName([name]), critical=False
        )
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path = self.place / f"{host.replace(':', '-')}.pem"
        path.write_bytes(secret + made.sign(self.key, hashes.SHA256()).public_bytes(Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context


def authority(place: Path) -> Authority:
    """A new one, which keeps its files there."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests")])
    made = _built("tests", name, key).add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    found = Authority(place, key, made.sign(key, hashes.SHA256()))
    found.file.write_bytes(found.certificate.public_bytes(Encoding.PEM))
    return found


def _built(subject: str, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
    )
