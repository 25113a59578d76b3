"""Registries that want a login get it, and nobody else does."""

from __future__ import annotations

import base64
import json
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from sockerless_ecs.errors import InvalidParameter, NotFound, Unauthorized, Unavailable
from sockerless_ecs.model.reference import parse
from sockerless_ecs.registry import Login, Platform, RegistryClient, parse_platform
from sockerless_ecs.registry.addresses import Addresses
from sockerless_ecs.registry.answer import Answer
from sockerless_ecs.registry.login import Challenge, Scope, Token, Tokens, challenge
from tests.registry.conftest import QUICK, no_login
from tests.registry.content import AMD64, Content
from tests.registry.scripted_registry import Asked, Said, ScriptedRegistry, scripted_registry

ME = Login(username="me", password="hush")


def basic(login: Login) -> str:
    return "Basic " + base64.b64encode(f"{login.username}:{login.password}".encode()).decode()


class TokenRegistry(Content):
    """Wants Bearer tokens, which it sells to `ME` and, when it is public, to anybody."""

    def __init__(self, registry: ScriptedRegistry, *, public: bool, expires_in: int = 300) -> None:
        super().__init__()
        self.registry = registry
        self.public = public
        self.expires_in = expires_in
        self.gives_identities = False
        self.sold = 0

    def __call__(self, asked: Asked) -> Said:
        if asked.path.startswith("/token"):
            return self.sell(asked)
        if asked.headers.get("Authorization") != f"Bearer token-{self.sold}" or not self.sold:
            realm = f'Bearer realm="{self.registry.url}/token?a=b",service="s",scope="repository:x:pull"'
            return Said(401, headers={"WWW-Authenticate": realm})
        return (
            super().__call__(asked)
            if "manifests" in asked.path or "blobs" in asked.path
            else Said(200, b"{}")
        )

    def sell(self, asked: Asked) -> Said:
        form, query = parse_qs(asked.body.decode()), parse_qs(urlsplit(asked.path).query)
        proven = asked.headers.get("Authorization") == basic(ME) or form.get("refresh_token") == ["identity"]
        if not proven and not (self.public and "Authorization" not in asked.headers and not form):
            return Said(401)
        self.sold += 1
        key = "access_token" if form else "token"
        sold = {key: f"token-{self.sold}", "expires_in": self.expires_in}
        if query.get("offline_token") == ["true"] and self.gives_identities:
            sold["refresh_token"] = "identity"
        return Said(200, json.dumps(sold).encode())


async def test_anonymous_token_is_bought_once(client: RegistryClient, registry: ScriptedRegistry) -> None:
    registry.answer = content = TokenRegistry(registry, public=True)
    content.image(tag="latest")
    for _ in range(3):
        assert await client.resolve(parse("alpine"), AMD64)
    bought = [urlsplit(path) for path in registry.paths() if path.startswith("/token")]
    assert len(bought) == 1
    query = parse_qs(bought[0].query)
    assert query == {
        "a": ["b"],
        "service": ["s"],
        "scope": ["repository:x:pull"],
        "client_id": ["sockerless-ecs"],
    }


async def test_expired_token_is_bought_anew(client: RegistryClient, registry: ScriptedRegistry) -> None:
    registry.answer = content = TokenRegistry(registry, public=True, expires_in=1)
    content.image(tag="latest")
    assert await client.resolve(parse("alpine"), AMD64)
    assert content.sold == 2


async def test_token_that_was_revoked_is_bought_anew(
    client: RegistryClient, registry: ScriptedRegistry
) -> None:
    registry.answer = content = TokenRegistry(registry, public=True)
    content.image(tag="latest")
    assert await client.resolve(parse("alpine"), AMD64)
    content.sold = 7
    assert await client.resolve(parse("alpine"), AMD64)
    assert content.sold == 8


@pytest.mark.parametrize("login", [ME, Login(identity_token="identity")])
async def test_login_of_the_caller_buys_a_token(
    client: RegistryClient, registry: ScriptedRegistry, login: Login
) -> None:
    registry.answer = content = TokenRegistry(registry, public=False)
    content.image(tag="latest")
    assert await client.resolve(parse("alpine"), AMD64, login)


async def test_token_of_one_login_serves_no_other(client: RegistryClient, registry: ScriptedRegistry) -> None:
    registry.answer = content = TokenRegistry(registry, public=False)
    content.image(tag="latest")
    assert await client.resolve(parse("alpine"), AMD64, ME)
    with pytest.raises(NotFound, match="pull access denied"):
        await client.resolve(parse("alpine"), AMD64)
    with pytest.raises(Unauthorized):
        await client.resolve(parse("alpine"), AMD64, Login(username="me", password="wrong"))


async def test_known_credentials_are_asked_for_only_when_needed(registry: ScriptedRegistry) -> None:
    asked: list[str] = []

    async def credentials(name: str, _refused: str) -> Login | None:
        asked.append(name)
        return ME

    async with RegistryClient({"docker.io": registry.url}, (), credentials, retries=QUICK) as client:
        registry.answer = public = Content()
        public.image(tag="latest")
        assert await client.resolve(parse("alpine"), AMD64)
        assert asked == []
        registry.answer = private = TokenRegistry(registry, public=False)
        private.image(tag="latest")
        assert await client.resolve(parse("alpine"), AMD64)
        assert asked == ["docker.io"]


@pytest.mark.parametrize(("public", "given", "taken"), [(False, ME, ME), (True, ME, ME), (True, None, None)])
async def test_login_that_was_wanted_and_taken_is_told_and_no_other(
    client: RegistryClient,
    registry: ScriptedRegistry,
    *,
    public: bool,
    given: Login | None,
    taken: Login | None,
) -> None:
    """From the first answer on, and when its token is used again."""
    registry.answer = content = TokenRegistry(registry, public=public)
    content.image(tag="latest")
    for _ in range(2):
        assert (await client.resolve(parse("alpine"), AMD64, given)).login == taken
        named = await client.named(parse("alpine"), given)
        assert named is not None
        assert named.login == taken
    assert content.sold == 1
    registry.answer = open_to_all = Content()
    open_to_all.image(tag="latest")
    async with RegistryClient({"docker.io": registry.url}, (), no_login, retries=QUICK) as another:
        assert (await another.resolve(parse("alpine"), AMD64, given)).login is None


async def test_login_that_the_daemon_knows_is_told_like_one_that_was_given(
    registry: ScriptedRegistry,
) -> None:
    async def credentials(_name: str, _refused: str) -> Login | None:
        return ME

    registry.answer = content = TokenRegistry(registry, public=False)
    content.image(tag="latest")
    async with RegistryClient({"docker.io": registry.url}, (), credentials, retries=QUICK) as client:
        assert (await client.resolve(parse("alpine"), AMD64)).login == ME


async def test_basic_login_is_sent_after_the_challenge_and_then_at_once(
    client: RegistryClient, registry: ScriptedRegistry
) -> None:
    content = Content()
    content.image(tag="latest")

    def answer(asked: Asked) -> Said:
        if asked.headers.get("Authorization") != basic(ME):
            return Said(401, headers={"WWW-Authenticate": 'Basic realm="ECR"'})
        return content(asked)

    registry.answer = answer
    assert await client.resolve(parse("alpine"), AMD64, ME)
    assert ["Authorization" in one.headers for one in registry.asked] == [False, True, True]
    with pytest.raises(Unauthorized, match="unauthorized: auth"):
        await client.resolve(parse("alpine"), AMD64, Login(username="me", password="wrong"))
    with pytest.raises(NotFound, match="pull access denied"):
        await client.resolve(parse("alpine"), AMD64)


async def test_login_does_not_follow_a_redirect_to_another_place(
    client: RegistryClient, registry: ScriptedRegistry
) -> None:
    content = Content()
    content.image(tag="latest")
    with scripted_registry(content) as store:

        def answer(asked: Asked) -> Said:
            if asked.headers.get("Authorization") != basic(ME):
                return Said(401, headers={"WWW-Authenticate": "Basic"})
            if "/blobs/" in asked.path:
                return Said(307, headers={"Location": f"{store.url}{asked.path}?signed=yes"})
            return content(asked)

        registry.answer = answer
        assert await client.resolve(parse("alpine"), AMD64, ME)
        assert len(store.asked) == 1
        assert "Authorization" not in store.asked[0].headers


async def test_login_can_be_checked(client: RegistryClient, registry: ScriptedRegistry) -> None:
    registry.answer = TokenRegistry(registry, public=False)
    assert await client.check_login("docker.io", ME) == ""
    with pytest.raises(Unauthorized):
        await client.check_login("docker.io", Login(username="me", password="wrong"))
    registry.answer = lambda _asked: Said(401, headers={"WWW-Authenticate": "Basic"})
    with pytest.raises(Unauthorized, match="login attempt to docker"):
        await client.check_login("docker.io", ME)
    registry.answer = lambda _asked: Said(404)
    with pytest.raises(Unavailable, match="is it a registry"):
        await client.check_login("docker.io", ME)


async def test_login_is_answered_with_a_token_that_logs_in_from_then_on(
    client: RegistryClient, registry: ScriptedRegistry
) -> None:
    registry.answer = content = TokenRegistry(registry, public=False)
    content.gives_identities = True
    content.image(tag="latest")
    token = await client.check_login("docker.io", ME)
    assert token == "identity"
    assert await client.resolve(parse("alpine"), AMD64, Login(identity_token=token))
    assert await client.check_login("docker.io", Login(identity_token=token)) == "identity"
    with pytest.raises(Unauthorized):
        await client.check_login("docker.io", Login(identity_token="stolen"))


async def test_only_a_login_asks_for_a_token_that_lasts(
    client: RegistryClient, registry: ScriptedRegistry
) -> None:
    registry.answer = content = TokenRegistry(registry, public=False)
    content.image(tag="latest")
    assert await client.resolve(parse("alpine"), AMD64, ME)
    assert "offline_token" not in "".join(registry.paths())


async def test_login_is_checked_anew_each_time(client: RegistryClient, registry: ScriptedRegistry) -> None:
    """A password that has changed meanwhile is not good because it was a minute ago."""
    registry.answer = content = TokenRegistry(registry, public=False)
    for bought in (1, 2):
        await client.check_login("docker.io", ME)
        assert content.sold == bought


async def test_login_of_a_registry_with_passwords_alone_gives_no_token(
    client: RegistryClient, registry: ScriptedRegistry
) -> None:
    def answer(asked: Asked) -> Said:
        if asked.headers.get("Authorization") == basic(ME):
            return Said(200, b"{}")
        return Said(401, headers={"WWW-Authenticate": 'Basic realm="ECR"'})

    registry.answer = answer
    assert await client.check_login("docker.io", ME) == ""
    with pytest.raises(Unauthorized):
        await client.check_login("docker.io", Login(username="me", password="wrong"))


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b'{"token": 3}'])
async def test_token_server_that_sells_no_token_is_unavailable(
    client: RegistryClient, registry: ScriptedRegistry, body: bytes
) -> None:
    def answer(asked: Asked) -> Said:
        realm = f'Bearer realm="{registry.url}/token"'
        return Said(200, body) if asked.path == "/token" else Said(401, headers={"WWW-Authenticate": realm})

    registry.answer = answer
    with pytest.raises((Unavailable, NotFound), match=r"sent no token|pull access denied"):
        await client.resolve(parse("alpine"), AMD64)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", None),
        ("Negotiate", None),
        ("Basic", Challenge(scheme="basic", parameters={})),
        ('basic realm="a \\"b\\", c"', Challenge(scheme="basic", parameters={"realm": 'a "b", c'})),
        (
            'Bearer realm="https://x/t",service=s,scope="repository:a:pull,push"',
            Challenge(
                scheme="bearer",
                parameters={"realm": "https://x/t", "service": "s", "scope": "repository:a:pull,push"},
            ),
        ),
        (
            'Basic realm="x", Bearer realm="https://y"',
            Challenge(scheme="bearer", parameters={"realm": "https://y"}),
        ),
        ("=, ,", None),
    ],
)
def test_challenges_are_read(header: str, expected: Challenge | None) -> None:
    assert challenge(header) == expected


async def test_tokens_kept_are_bounded() -> None:
    tokens = Tokens()
    scopes = [Scope(base_url="u", repository=str(number)) for number in range(1000)]
    for scope in scopes:
        tokens.keep(scope, Token(authorization="x"), 300)
    assert sum(tokens.get(scope) is not None for scope in scopes) == 256


def test_secrets_are_not_printed() -> None:
    login = Login(username="me", password="hush", identity_token="identity")
    answer = Answer(
        status=200, headers=httpx.Headers(), body=b"", url="u", login=login, identity_token="identity"
    )
    for text in (repr(login), str(login), repr(Scope(base_url="u", login=login)), repr(answer)):
        assert "hush" not in text
        assert "identity'" not in text


@pytest.mark.parametrize(
    ("registry", "url"),
    [
        ("docker.io", "https://registry-1.docker.io"),
        ("ghcr.io", "https://ghcr.io"),
        ("localhost", "http://localhost"),
        ("localhost:5000", "http://localhost:5000"),
        ("127.1.2.3:5000", "http://127.1.2.3:5000"),
        ("[::1]:5000", "http://[::1]:5000"),
        ("[::1]", "http://[::1]"),
        ("localhost.evil.example", "https://localhost.evil.example"),
        ("plain:5000", "http://plain:5000"),
        ("mirrored", "https://mirror/x"),
    ],
)
def test_addresses(registry: str, url: str) -> None:
    addresses = Addresses({"mirrored": "https://mirror/x/"}, ["plain:5000"])
    assert addresses.base_url(registry) == url
    if registry != "docker.io":
        assert addresses.index_url(registry) == url


def test_searches_of_docker_hub_go_to_its_index_or_to_what_stands_in_for_the_hub() -> None:
    assert Addresses({}, []).index_url("docker.io") == "https://index.docker.io"
    assert Addresses({"docker.io": "http://mirror/"}, []).index_url("docker.io") == "http://mirror"


@pytest.mark.parametrize(
    ("text", "platform"),
    [
        ("linux/amd64", Platform(architecture="amd64")),
        ("arm64", Platform(architecture="arm64")),
        ("linux/aarch64/v8", Platform(architecture="arm64", variant="v8")),
        ("X86_64", Platform(architecture="amd64")),
        ("linux", Platform(architecture="arm64")),
        ("freebsd", Platform(os="freebsd", architecture="arm64")),
        ("linux/foobar", Platform(architecture="foobar")),
        ("windows/amd64", Platform(os="windows", architecture="amd64")),
    ],
)
def test_platforms_are_read(text: str, platform: Platform) -> None:
    assert parse_platform(text, "arm64") == platform


@pytest.mark.parametrize("text", ["", "/", "linux/", "a/b/c/d", "linux/amd 64", "é"])
def test_what_is_no_platform_is_refused(text: str) -> None:
    with pytest.raises(InvalidParameter, match="invalid platform"):
        parse_platform(text)


def test_a_word_that_is_neither_system_nor_architecture_is_refused() -> None:
    with pytest.raises(InvalidParameter, match='"foobar": unknown operating system or architecture'):
        parse_platform("foobar")
