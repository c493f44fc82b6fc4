"""Certificates for servers: an authority, made for the occasion or to last, and what it vouches for."""

import ipaddress
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from environments.simulation.clock import WallClock

__all__ = ["Authority", "issue_certificate"]

VALIDITY = timedelta(days=30)
AUTHORITY_VALIDITY, SERVER_VALIDITY = timedelta(days=3650), timedelta(days=397)


class Authority:
    """A community's own certificate authority: `ca.pem` for everybody, `ca_key.pem` for its owner alone."""

    def __init__(self, folder: Path) -> None:
        """Use the authority in a folder, or make one there."""
        self.ca_file, key_file = folder / "ca.pem", folder / "ca_key.pem"
        if key_file.is_file() and self.ca_file.is_file():
            key = serialization.load_pem_private_key(key_file.read_bytes(), password=None)
            assert isinstance(key, ec.EllipticCurvePrivateKey)
            self._key, self._certificate = key, x509.load_pem_x509_certificate(self.ca_file.read_bytes())
            return
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._certificate = _authority(self._key, f"Authority of {folder.name}", AUTHORITY_VALIDITY)
        _write_key(key_file, self._key)
        self.ca_file.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, folder: Path, domain: str, names: Sequence[str] = ()) -> tuple[Path, Path]:
        """Write `DOMAIN_cert.pem` and `DOMAIN_key.pem` for a server, and return both.

        Args: names are further host names and IP addresses that it is reached by.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        issued = _server_certificate(
            self._certificate, self._key, key, domain, names=names, validity=SERVER_VALIDITY
        )
        certificate, key_file = folder / f"{domain}_cert.pem", folder / f"{domain}_key.pem"
        _write_key(key_file, key)
        certificate.write_bytes(issued.public_bytes(serialization.Encoding.PEM))
        return certificate, key_file


def issue_certificate(folder: Path, domain: str) -> Path:
    """Write `DOMAIN_cert.pem` and `DOMAIN_key.pem`, and return the authority's certificate file.

    The authority's own key is forgotten at once, so that it can vouch for nothing else.
    """
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = _authority(authority_key, f"Authority of {domain}")
    certificate = _server_certificate(authority, authority_key, key, domain)
    _write_key(folder / f"{domain}_key.pem", key)
    (folder / f"{domain}_cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    ca_file = folder / "ca.pem"
    ca_file.write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    return ca_file


def _authority(
    key: ec.EllipticCurvePrivateKey, name: str, validity: timedelta = VALIDITY
) -> x509.Certificate:
    return (
        _builder(name, name, key.public_key(), validity)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )


def _server_certificate(
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
    key: ec.EllipticCurvePrivateKey,
    domain: str,
    *,
    names: Sequence[str] = (),
    validity: timedelta = VALIDITY,
) -> x509.Certificate:
    issuer = str(authority.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    return (
        _builder(domain, issuer, key.public_key(), validity)
        .add_extension(
            x509.SubjectAlternativeName([_name(each) for each in dict.fromkeys((domain, *names))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(identifier, critical=False)
        .sign(authority_key, hashes.SHA256())
    )


def _name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _builder(
    subject: str, issuer: str, key: ec.EllipticCurvePublicKey, validity: timedelta
) -> x509.CertificateBuilder:
    now = datetime.fromtimestamp(WallClock().now_s(), UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + validity)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    path.touch(mode=0o600)
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
