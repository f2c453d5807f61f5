"""Self-signed certificates for servers on loopback, so that TLS is tested with real handshakes."""

import datetime as dt
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

LIFETIME = dt.timedelta(days=7)


class Certificates:
    """
    An authority of our own, and one certificate by it for 127.0.0.1 and localhost.

    `ca`, `certificate` and `key` are PEM files; `both` holds key and certificate, as Kafka wants them.
    A second object on the same folder uses what is there.
    """

    def __init__(self, folder: Path) -> None:
        self.ca, self.certificate = folder / "ca.pem", folder / "server.pem"
        self.key, self.both = folder / "server.key", folder / "server-both.pem"
        if not self.both.exists():
            folder.mkdir(parents=True, exist_ok=True)
            self._make()

    def _make(self) -> None:
        authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        authority = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "MLife test authority")])
        addresses = x509.SubjectAlternativeName(
            [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")]
        )
        ca = (
            self._builder(authority, authority, authority_key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key()), critical=False)
            .sign(authority_key, hashes.SHA256())
        )
        own = (
            self._builder(
                x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")]), authority, key.public_key()
            )
            .add_extension(addresses, critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs=False), critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False
            )
            .sign(authority_key, hashes.SHA256())
        )
        pem = serialization.Encoding.PEM
        secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        self.ca.write_bytes(ca.public_bytes(pem))
        self.certificate.write_bytes(own.public_bytes(pem))
        self.key.touch(mode=0o600)
        self.key.write_bytes(secret)
        self.both.touch(mode=0o600)
        self.both.write_bytes(secret + own.public_bytes(pem) + ca.public_bytes(pem))

    @staticmethod
    def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        now = dt.datetime.now(dt.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + LIFETIME)
        )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
