"""Who may talk to an agent, and how an agent proves who it is: keys, contexts, proofs."""

from __future__ import annotations

import hashlib
import hmac
import os
import ssl
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

_PROOF_LABEL = b"sockerless-agent-proof-v1\x00"
_LIFETIME = timedelta(days=100 * 365)  # the key is pinned; its dates mean nothing


def new_identity() -> tuple[bytes, bytes]:
    """A fresh key pair for a daemon: its certificate and its private key, both PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sockerless-ecs")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + _LIFETIME)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM), private


def public_key_sha256(certificate_pem: bytes) -> str:
    """What an agent pins: the SHA-256 of the certificate's SubjectPublicKeyInfo, in hex."""
    key = x509.load_pem_x509_certificate(certificate_pem).public_key()
    spki = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(spki).hexdigest()


def client_context(certificate_pem: bytes, key_pem: bytes) -> ssl.SSLContext:
    """Mutual TLS 1.3 without an authority: the agent pins our key, and we check its proof instead."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    # The ssl module reads keys from files only; a memory file has no name that others could open.
    with os.fdopen(os.memfd_create("identity"), "wb") as file:
        file.write(certificate_pem + b"\n" + key_pem)
        file.flush()
        context.load_cert_chain(f"/proc/self/fd/{file.fileno()}")
    return context


def proves(proof: str, token: bytes, certificate_der: bytes) -> bool:
    """Whether the maker of this certificate holds the task's token."""
    expected = hmac.digest(token, _PROOF_LABEL + certificate_der, hashlib.sha256).hex()
    return hmac.compare_digest(expected, proof)
