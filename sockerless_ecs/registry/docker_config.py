"""Logins out of Docker's own `config.json`: written in it, or asked of the credential helpers it names."""

from __future__ import annotations

import base64
import binascii
import re
import subprocess
from functools import partial
from pathlib import Path

import msgspec
import trio

from sockerless_ecs.errors import Misconfigured, Unavailable
from sockerless_ecs.model.reference import DOCKER_HUB
from sockerless_ecs.registry.login import Login

_HUB_KEY = f"https://index.{DOCKER_HUB}/v1/"
"""What Docker calls its Hub in this file, and to helpers."""
_HUB_HOSTS = frozenset((DOCKER_HUB, f"index.{DOCKER_HUB}", f"registry-1.{DOCKER_HUB}"))
_HELPER = re.compile(r"[A-Za-z0-9._-]+")
_HELPER_SECONDS = 30.0
_NOT_FOUND = "credentials not found"
_TOKEN_USER = "<token>"  # noqa: S105 - how helpers mark an identity token


class _Auth(msgspec.Struct, rename="lower"):
    auth: str = ""
    username: str = ""
    password: str = ""
    identitytoken: str = ""


class _File(msgspec.Struct, rename="camel"):
    auths: dict[str, _Auth] | None = None
    creds_store: str = ""
    cred_helpers: dict[str, str] | None = None


class _Answer(msgspec.Struct, rename="pascal"):
    username: str = ""
    secret: str = ""


class DockerConfig:
    """One such file, read anew at each question, as its owner may log in meanwhile."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def login(self, registry: str) -> Login | None:
        """What is known for a registry; raises `Misconfigured` for a file or helper that cannot be used."""
        file = await self._read()
        named = {_host(key): name for key, name in (file.cred_helpers or {}).items()}
        if helper := named.get(registry) or file.creds_store:
            return await self._ask(helper, _HUB_KEY if registry == DOCKER_HUB else registry)
        for key, auth in (file.auths or {}).items():
            if _host(key) == registry:
                return self._written(auth, key)
        return None

    async def _read(self) -> _File:
        try:
            text = await trio.Path(self._path).read_bytes()
            return msgspec.json.decode(text, type=_File)
        except OSError as error:
            raise Misconfigured(f"images.docker_config: {self._path}: {error.strerror}") from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Misconfigured(
                f"images.docker_config: {self._path} is no config.json of Docker: {error}"
            ) from error

    def _written(self, auth: _Auth, key: str) -> Login | None:
        username, password = auth.username, auth.password
        if auth.auth:
            try:
                username, _, password = base64.b64decode(auth.auth, validate=True).decode().partition(":")
            except (binascii.Error, UnicodeDecodeError) as error:
                raise Misconfigured(
                    f"images.docker_config: {self._path}: the auth of {key} is no base64"
                ) from error
        if not (username or auth.identitytoken):
            return None
        return Login(username=username, password=password.rstrip("\0"), identity_token=auth.identitytoken)

    async def _ask(self, helper: str, server: str) -> Login | None:
        program = f"docker-credential-{helper}"
        if not _HELPER.fullmatch(helper):
            raise Misconfigured(f"images.docker_config: {self._path}: {helper!r} is no credential helper")
        run = partial(trio.run_process, [program, "get"], stdin=server.encode(), capture_stdout=True)
        try:
            with trio.fail_after(_HELPER_SECONDS):
                done = await run(check=False, stderr=subprocess.DEVNULL)
        except OSError as error:
            raise Misconfigured(f"images.docker_config: {program}: {error.strerror}") from error
        except trio.TooSlowError as error:
            raise Unavailable(f"{program} gave no login for {server} in {_HELPER_SECONDS:.0f} s") from error
        if done.returncode:
            said = done.stdout.decode(errors="replace").strip()
            if said.startswith(_NOT_FOUND):
                return None
            raise Unavailable(f"{program} gave no login for {server}: {said or f'exit {done.returncode}'}")
        try:
            answer = msgspec.json.decode(done.stdout, type=_Answer)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Unavailable(f"{program} gave no login for {server}: its answer is no JSON") from error
        if answer.username == _TOKEN_USER:
            return Login(identity_token=answer.secret)
        return Login(username=answer.username, password=answer.secret) if answer.username else None


def _host(key: str) -> str:
    """`https://index.docker.io/v1/`, `ghcr.io` → the registry's name in references."""
    host = key.removeprefix("https://").removeprefix("http://").partition("/")[0]
    return DOCKER_HUB if host in _HUB_HOSTS else host
