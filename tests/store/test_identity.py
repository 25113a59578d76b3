"""The identity file: made once, kept for ever, held by one."""

from __future__ import annotations

import hashlib
import json
import os
import ssl
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from sockerless_ecs.errors import StoreUnusable
from sockerless_ecs.store import Identity, hold_identity, new_identity


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "identity.json"


def _refusal(path: Path) -> str:
    before = path.read_bytes()
    with pytest.raises(StoreUnusable) as caught:
        hold_identity(path)
    assert path.read_bytes() == before
    return str(caught.value)


def test_identity_stays_the_same(path: Path) -> None:
    with hold_identity(path) as held:
        first = held.identity
    with hold_identity(path) as held:
        assert held.identity == first
    assert len(bytes.fromhex(first.instance_id)) == 16


def test_two_identities_differ() -> None:
    one, other = new_identity(), new_identity()
    assert one.instance_id != other.instance_id
    assert one.public_key_sha256 != other.public_key_sha256


def test_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "identity.json"
    with hold_identity(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert [file.name for file in path.parent.iterdir()] == ["identity.json"]
    path.chmod(0o644)
    with hold_identity(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_only_one_process_is_this_daemon(path: Path) -> None:
    with (
        hold_identity(path),
        pytest.raises(StoreUnusable, match=rf"{path} is in use by process {os.getpid()}"),
    ):
        hold_identity(path)
    hold_identity(path).release()


def test_key_never_shows() -> None:
    identity = new_identity()
    secret = identity.key_pem.decode().splitlines()[1]
    assert secret not in repr(identity)
    assert "PRIVATE" not in f"{identity}"


def test_openssl_takes_the_pair(tmp_path: Path) -> None:
    identity = new_identity()
    (tmp_path / "pair").write_bytes(identity.certificate_pem + identity.key_pem)
    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(tmp_path / "pair")


def test_public_key_is_pinned_by_its_der() -> None:
    identity = new_identity()
    certificate = x509.load_pem_x509_certificate(identity.certificate_pem)
    der = certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    assert identity.public_key_sha256 == hashlib.sha256(der).hexdigest()
    assert certificate.not_valid_after_utc.year == 9999


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("instance_id", "short"),
        ("instance_id", 7),
        ("certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        ("key", "none"),
        ("key", new_identity().key_pem.decode()),
        ("version", "1"),
    ],
)
def test_damaged_file_is_refused(path: Path, field: str, value: object) -> None:
    hold_identity(path).release()
    document = json.loads(path.read_bytes())
    path.write_text(json.dumps(document | {field: value}))
    assert "is damaged" in _refusal(path)


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe", b'{"version": 1'])
def test_file_that_is_no_identity_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    assert "was left as it is" in _refusal(path)


def test_file_of_a_newer_release_is_refused(path: Path) -> None:
    hold_identity(path).release()
    path.write_text(json.dumps(json.loads(path.read_bytes()) | {"version": 2}))
    assert "newer release" in _refusal(path)


def test_refused_file_is_not_left_locked(path: Path) -> None:
    path.write_bytes(b"{}")
    _refusal(path)
    path.unlink()
    hold_identity(path).release()


def test_identity_is_kept_apart_from_its_making() -> None:
    assert Identity(instance_id="0" * 32, certificate_pem=b"c", key_pem=b"k") == Identity(
        instance_id="0" * 32, certificate_pem=b"c", key_pem=b"k"
    )
