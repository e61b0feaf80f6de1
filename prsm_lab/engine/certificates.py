"""TLS between a driver and workers on other machines: a certificate of one run, and who trusts it."""

from __future__ import annotations

import datetime
import ipaddress
import os
import ssl
import tempfile
from pathlib import Path

from prsm_lab.errors import InvalidRequestError


def certificate(host: str) -> tuple[str, str]:
    """Make a key of one run for one address: its certificate, which workers are given, and the private part, as PEM.

    Raises:
        InvalidRequestError: If `cryptography` is not installed.
    """
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
    except ImportError as lack:
        raise InvalidRequestError(
            "Workers on other machines are spoken to by TLS, which needs an extra: pip install "
            '"prsm-lab[dask]" or "prsm-lab[ray]".',
            details={"parameter": "engine"},
        ) from lack
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "prsm-lab driver")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return made.public_bytes(serialization.Encoding.PEM).decode(), private.decode()


def driver_context(certificate_pem: str, private_pem: str) -> ssl.SSLContext:
    """Return the driver's side of TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    descriptor, name = tempfile.mkstemp()  # ssl reads keys from files only; this one is ours alone, and gone at once
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(certificate_pem + private_pem)
        context.load_cert_chain(name)
    finally:
        Path(name).unlink()
    return context


def worker_context(certificate_pem: str) -> ssl.SSLContext:
    """Return the worker's side of TLS: it trusts this driver and nobody else."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=certificate_pem)
    return context
