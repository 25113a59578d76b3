"""Who this daemon is: an instance id and a key pair, in a file that outlives a lost database."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from sockerless_ecs.errors import StoreUnusable
from sockerless_ecs.store.files import draft_of, make_private, make_private_folder, publish
from sockerless_ecs.store.lock import FileLock

_VERSION = 1
_INSTANCE_ID = re.compile(r"[0-9a-f]{32}")
# The agents pin the key, not the certificate: it must not stop working one day. RFC 5280's "never".
_NEVER = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The instance id (32 hex digits) marks this daemon's AWS objects, the key opens its agents."""

    instance_id: str
    certificate_pem: bytes
    key_pem: bytes = field(repr=False)

    @property
    def public_key_sha256(self) -> str:
        """Hex SHA-256 of the public key (DER, SubjectPublicKeyInfo): what agents are told to obey."""
        return hashlib.sha256(_public_der(x509.load_pem_x509_certificate(self.certificate_pem))).hexdigest()


class HeldIdentity:
    """An identity that no other process can hold until this one is released (or the process ends)."""

    def __init__(self, identity: Identity, lock: FileLock) -> None:
        self.identity = identity
        self._lock = lock

    def release(self) -> None:
        """Let another daemon be this one; harmless when repeated."""
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def hold_identity(path: Path) -> HeldIdentity:
    """The identity kept at `path`, made there if there is none, locked; blocking.

    Raises `StoreUnusable`, the file untouched, when it is unreadable or another process holds it.
    """
    try:
        if not path.exists():
            _create(path)
        lock = FileLock(path)
        try:
            make_private(path)
            return HeldIdentity(_read(path), lock)
        except BaseException:
            lock.release()
            raise
    except OSError as error:
        raise StoreUnusable(f"the identity file {path} cannot be used: {error.strerror}") from error


def new_identity() -> Identity:
    """A fresh identity that is not kept anywhere."""
    certificate_pem, key_pem = new_key_pair()
    return Identity(instance_id=secrets.token_hex(16), certificate_pem=certificate_pem, key_pem=key_pem)


def new_key_pair() -> tuple[bytes, bytes]:
    """A fresh EC P-256 key and a self-signed client certificate for it: (certificate PEM, key PEM)."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sockerless-backend-ecs")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(_NEVER)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    key_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM), key_pem


@dataclass(frozen=True, slots=True, kw_only=True)
class _Document:
    """The file's content."""

    version: int
    instance_id: str
    certificate: str
    key: str


def _create(path: Path) -> None:
    make_private_folder(path.parent)
    identity = new_identity()
    document = _Document(
        version=_VERSION,
        instance_id=identity.instance_id,
        certificate=identity.certificate_pem.decode("ascii"),
        key=identity.key_pem.decode("ascii"),
    )
    draft = draft_of(path)
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(document)) + b"\n")
    publish(draft, path)


def _read(path: Path) -> Identity:
    try:
        document = msgspec.json.decode(path.read_bytes(), type=_Document)
        if document.version > _VERSION:
            raise StoreUnusable(f"the identity file {path} was written by a newer release: use that one")
        identity = Identity(
            instance_id=document.instance_id,
            certificate_pem=document.certificate.encode("ascii"),
            key_pem=document.key.encode("ascii"),
        )
        _require_consistent(identity)
    except (msgspec.MsgspecError, UnicodeError, ValueError, TypeError) as error:
        raise StoreUnusable(
            f"the identity file {path} is damaged: {error}. It was left as it is: restore it, or move it "
            "away to begin as a new daemon (tasks of the old one are then not adopted)"
        ) from error
    return identity


def _require_consistent(identity: Identity) -> None:
    if not _INSTANCE_ID.fullmatch(identity.instance_id):
        raise ValueError("instance_id is not 32 hex digits")
    key = serialization.load_pem_private_key(identity.key_pem, password=None)
    certificate = x509.load_pem_x509_certificate(identity.certificate_pem)
    if _spki(key.public_key()) != _public_der(certificate):
        raise ValueError("the certificate is not the key's")


def _public_der(certificate: x509.Certificate) -> bytes:
    return _spki(certificate.public_key())


def _spki(key: object) -> bytes:
    return key.public_bytes(  # type: ignore[attr-defined, no-any-return]
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
