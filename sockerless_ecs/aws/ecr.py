"""ECR: the registry login, and repositories. Images themselves move over the registry's own protocol."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import trio

from sockerless_ecs.aws.calls import Calls
from sockerless_ecs.aws.faults import code_of
from sockerless_ecs.aws.operations import (
    CREATE_REPOSITORY,
    DESCRIBE_REPOSITORIES,
    GET_AUTHORIZATION_TOKEN,
)
from sockerless_ecs.aws.tags import acceptable
from sockerless_ecs.errors import Conflict, NotFound

_RENEWED_AT = 0.1
"""The part of a login's life that must be left for it to be handed out again."""


@dataclass(frozen=True, slots=True)
class RegistryLogin:
    """Basic credentials for the account's registry (ECR's tokens are not bearer tokens)."""

    username: str
    password: str = field(repr=False)
    endpoint: str
    """`https://<account>.dkr.ecr.<region>.amazonaws.com`."""
    expires: float
    """Seconds since the epoch."""


class Ecr:
    """The account's private registry in one region."""

    def __init__(self, calls: Calls, *, clock: Callable[[], float] = time.time) -> None:
        self._calls = calls
        self._clock = clock
        self._login: RegistryLogin | None = None
        self._renew_at = 0.0
        self._one_at_a_time = trio.Lock()

    async def authorization(self) -> RegistryLogin:
        """A login that is good for another while; AWS is asked when nine tenths of it (12 h) are gone."""
        async with self._one_at_a_time:
            if self._login is None or self._clock() >= self._renew_at:
                self._login = await self._fresh_login()
                self._renew_at = self._login.expires - _RENEWED_AT * (self._login.expires - self._clock())
            return self._login

    async def ensure_repository(self, name: str, tags: Mapping[str, str]) -> str:
        """Make the repository if it is missing; returns its URI (`<registry>/<name>`)."""
        uri = await self._find_repository(name)
        if uri is not None:
            return uri
        labels = [{"Key": key, "Value": value} for key, value in acceptable(tags).items()]
        try:
            answer = await self._calls.call(CREATE_REPOSITORY, repositoryName=name, tags=labels)
        except Conflict as conflict:
            uri = await self._find_repository(name)
            if uri is None or code_of(conflict) != "RepositoryAlreadyExistsException":
                raise
            return uri
        return str(answer["repository"]["repositoryUri"])

    async def _find_repository(self, name: str) -> str | None:
        try:
            answer = await self._calls.call(DESCRIBE_REPOSITORIES, repositoryNames=[name])
        except NotFound:
            return None
        return str(answer["repositories"][0]["repositoryUri"])

    async def _fresh_login(self) -> RegistryLogin:
        answer = await self._calls.call(GET_AUTHORIZATION_TOKEN)
        data = answer["authorizationData"][0]
        username, _, password = base64.b64decode(data["authorizationToken"]).decode().partition(":")
        return RegistryLogin(username, password, data["proxyEndpoint"], data["expiresAt"].timestamp())
