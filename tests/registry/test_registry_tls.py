"""Behind HTTPS nothing is sent to whom cannot prove who it is, and nothing in the clear."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sockerless_ecs.errors import Unavailable
from sockerless_ecs.model.reference import parse
from sockerless_ecs.registry import Login, RegistryClient
from tests.registry.conftest import QUICK, no_login
from tests.registry.content import AMD64, Content
from tests.registry.scripted_registry import Asked, Said, ScriptedRegistry, scripted_registry

ME = Login(username="me", password="hush")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and its certificate for 127.0.0.1 in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "registry")])
    now = dt.datetime.now(dt.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "registry.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture
def tls_registry(certificate: Path) -> Iterator[ScriptedRegistry]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with scripted_registry(tls=context) as registry:
        yield registry


@pytest.fixture
async def trusting(tls_registry: ScriptedRegistry, certificate: Path) -> AsyncIterator[RegistryClient]:
    context = ssl.create_default_context(cafile=str(certificate))
    mirrors = {"docker.io": tls_registry.url}
    async with RegistryClient(mirrors, (), no_login, retries=QUICK, verify=context) as client:
        yield client


async def test_image_is_resolved_over_tls(trusting: RegistryClient, tls_registry: ScriptedRegistry) -> None:
    tls_registry.answer = content = Content()
    content.image(tag="latest")
    assert (await trusting.resolve(parse("alpine"), AMD64)).image.architecture == "amd64"


async def test_registry_that_cannot_prove_who_it_is_gets_no_request(tls_registry: ScriptedRegistry) -> None:
    mirrors = {"docker.io": tls_registry.url}
    async with RegistryClient(mirrors, (), no_login, retries=QUICK) as client:
        with pytest.raises(Unavailable, match="certificate verify failed"):
            await client.resolve(parse("alpine"), AMD64, ME)
    assert tls_registry.asked == []


@pytest.mark.parametrize("realm", ["{plain}/token", "ftp://x/", "/token", "", "javascript:x"])
async def test_login_is_never_sent_in_the_clear(
    trusting: RegistryClient, tls_registry: ScriptedRegistry, registry: ScriptedRegistry, realm: str
) -> None:
    challenge = f'Bearer realm="{realm.format(plain=registry.url)}"'
    tls_registry.answer = lambda _asked: Said(401, headers={"WWW-Authenticate": challenge})
    with pytest.raises(Unavailable, match="not HTTPS: refused"):
        await trusting.resolve(parse("alpine"), AMD64, ME)
    assert registry.asked == []


async def test_upload_is_never_sent_in_the_clear(
    trusting: RegistryClient, tls_registry: ScriptedRegistry, registry: ScriptedRegistry
) -> None:
    def answer(asked: Asked) -> Said:
        if asked.method == "HEAD":
            return Said(404)
        return Said(202, headers={"Location": f"{registry.url}/upload"})

    tls_registry.answer = answer
    with pytest.raises(Unavailable, match="not HTTPS: refused"):
        await trusting.repository(parse("me/x"), ME).push_blob(
            "sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881", b"x"
        )
    assert registry.asked == []
