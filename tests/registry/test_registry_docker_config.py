"""Docker's config.json logs in where it can, and says what is wrong with it where it cannot."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from sockerless_ecs.errors import Misconfigured, SockerlessError, Unavailable
from sockerless_ecs.registry import DockerConfig, Login

HUB = "https://index.docker.io/v1/"
PAIR = base64.b64encode(b"me:a:b").decode()
ME = Login(username="me", password="a:b")


def config(folder: Path, document: object) -> DockerConfig:
    path = folder / "config.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return DockerConfig(path)


def helper(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str, name: str = "test") -> None:
    """A credential helper on PATH."""
    program = folder / f"docker-credential-{name}"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")


@pytest.mark.parametrize(
    ("auths", "registry", "login"),
    [
        ({HUB: {"auth": PAIR}}, "docker.io", ME),
        ({"https://registry.example:5000/v2/": {"auth": PAIR}}, "registry.example:5000", ME),
        ({"ghcr.io": {"username": "me", "password": "a:b"}}, "ghcr.io", ME),
        ({"ghcr.io": {"identitytoken": "t"}}, "ghcr.io", Login(identity_token="t")),
        ({"ghcr.io": {}}, "ghcr.io", None),
        ({"ghcr.io": {"auth": PAIR}}, "quay.io", None),
        (None, "docker.io", None),
    ],
)
async def test_what_is_written_in_it_logs_in(
    tmp_path: Path, auths: object, registry: str, login: Login | None
) -> None:
    assert await config(tmp_path, {"auths": auths}).login(registry) == login


async def test_a_helper_of_a_registry_is_asked_before_all_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    helper(
        tmp_path,
        monkeypatch,
        'read -r server; printf \'{"ServerURL":"%s","Username":"%s","Secret":"s"}\' "$server" "$1-$server"',
    )
    auths = {key: {"auth": PAIR} for key in ("ghcr.io", "b")}
    made = config(tmp_path, {"credHelpers": {"ghcr.io": "test"}, "auths": auths})
    assert await made.login("ghcr.io") == Login(username="get-ghcr.io", password="s")
    assert await made.login("b") == ME


async def test_a_store_is_asked_by_the_name_that_it_has_for_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    helper(tmp_path, monkeypatch, 'read -r server; printf \'{"Username":"%s","Secret":"s"}\' "$server"')
    made = config(tmp_path, {"credsStore": "test"})
    assert await made.login("docker.io") == Login(username=HUB, password="s")


async def test_a_token_of_a_helper_is_an_identity_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    helper(tmp_path, monkeypatch, 'cat >/dev/null; echo \'{"Username":"<token>","Secret":"t"}\'')
    assert await config(tmp_path, {"credsStore": "test"}).login("x.io") == Login(identity_token="t")


async def test_a_helper_that_knows_nothing_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    helper(tmp_path, monkeypatch, "cat >/dev/null; echo credentials not found in native keychain; exit 1")
    assert await config(tmp_path, {"credsStore": "test"}).login("x.io") is None


async def test_the_file_is_read_anew_each_time(tmp_path: Path) -> None:
    made = config(tmp_path, {})
    assert await made.login("ghcr.io") is None
    config(tmp_path, {"auths": {"ghcr.io": {"auth": PAIR}}})
    assert await made.login("ghcr.io") == ME


@pytest.mark.parametrize(
    ("document", "kind", "words"),
    [
        ("no JSON", Misconfigured, "is no config.json of Docker"),
        ("[]", Misconfigured, "is no config.json of Docker"),
        ({"auths": {"x.io": {"auth": "%"}}}, Misconfigured, "the auth of x.io is no base64"),
        ({"credsStore": "../../bin/sh"}, Misconfigured, "is no credential helper"),
        ({"credsStore": "nosuch"}, Misconfigured, "docker-credential-nosuch: No such file"),
        ({"credsStore": "fails"}, Unavailable, "gave no login for x.io: locked"),
        ({"credsStore": "babbles"}, Unavailable, "its answer is no JSON"),
    ],
)
async def test_what_is_wrong_is_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    document: object,
    kind: type[SockerlessError],
    words: str,
) -> None:
    helper(tmp_path, monkeypatch, "cat >/dev/null; echo locked; exit 1", "fails")
    helper(tmp_path, monkeypatch, "cat >/dev/null; echo secret", "babbles")
    with pytest.raises(kind, match=words) as wrong:
        await config(tmp_path, document).login("x.io")
    assert "secret" not in str(wrong.value)


async def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"nosuch.json: No such file"):
        await DockerConfig(tmp_path / "nosuch.json").login("x.io")
