"""ECR: the registry login, and repositories. Images themselves move over the registry's own protocol."""

from __future__ import annotations

import base64
import json
import re
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
    PUT_LIFECYCLE_POLICY,
)
from sockerless_ecs.aws.tags import acceptable
from sockerless_ecs.errors import Conflict, NotFound

_HOST = re.compile(
    r"[0-9]{12}\.dkr[.-]ecr(?:-fips)?\.[a-z0-9-]+\."
    r"(?:amazonaws\.com|on\.aws|amazonaws\.com\.cn|on\.amazonwebservices\.com\.cn)"
)
"""ECR's registries: https://docs.aws.amazon.com/general/latest/gr/ecr.html."""
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

    @property
    def basic(self) -> str:
        """The value of an Authorization header."""
        return f"Basic {base64.b64encode(f'{self.username}:{self.password}'.encode()).decode()}"


class Ecr:
    """The account's private registry in one region."""

    def __init__(self, calls: Calls, *, clock: Callable[[], float] = time.time) -> None:
        self._calls = calls
        self._clock = clock
        self._login: RegistryLogin | None = None
        self._renew_at = 0.0
        self._one_at_a_time = trio.Lock()
        self._hosts: set[str] = set()
        self._expiring: set[str] = set()

    def serves(self, registry: str) -> bool:
        """Whether the host is an ECR registry of ours, or one that ECR has called so itself."""
        return registry in self._hosts or _HOST.fullmatch(registry) is not None

    async def authorization(self, refused: str = "") -> RegistryLogin:
        """A login that is good for another while; AWS is asked when nine tenths of it (12 h) are gone.

        Or earlier, when `refused` (the value of an Authorization header) is the one that is known.
        """
        async with self._one_at_a_time:
            login = self._login
            if login is None or self._clock() >= self._renew_at or login.basic == refused:
                self._login = login = await self._fresh_login()
                self._renew_at = login.expires - _RENEWED_AT * (login.expires - self._clock())
            return login

    async def ensure_repository(
        self, name: str, tags: Mapping[str, str], *, scan_on_push: bool = False, expire_days: int = 0
    ) -> str:
        """Make the repository if it is missing; returns its URI (`<registry>/<name>`).

        `scan_on_push` is for one that is made; `expire_days` (0 = never) replaces the lifecycle policy, once
        for each daemon.
        """
        uri = await self._find_repository(name) or await self._make_repository(name, tags, scan_on_push)
        if expire_days and name not in self._expiring:
            await self._calls.call(
                PUT_LIFECYCLE_POLICY, repositoryName=name, lifecyclePolicyText=_expiry(expire_days)
            )
            self._expiring.add(name)
        self._hosts.add(uri.partition("/")[0])
        return uri

    async def _make_repository(self, name: str, tags: Mapping[str, str], scan_on_push: bool) -> str:
        labels = [{"Key": key, "Value": value} for key, value in acceptable(tags).items()]
        try:
            answer = await self._calls.call(
                CREATE_REPOSITORY,
                repositoryName=name,
                tags=labels,
                imageScanningConfiguration={"scanOnPush": scan_on_push},
            )
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


def _expiry(days: int) -> str:
    """A lifecycle policy: https://docs.aws.amazon.com/AmazonECR/latest/userguide/lifecycle_policy_parameters.html."""
    selection = {"tagStatus": "any", "countType": "sinceImagePushed", "countUnit": "days"}
    rule = {
        "rulePriority": 1,
        "description": "sockerless images.expire_days",
        "selection": {**selection, "countNumber": days},
        "action": {"type": "expire"},
    }
    return json.dumps({"rules": [rule]})
