"""Logins to registries that are kept in Secrets Manager, for Fargate, which pulls by itself."""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass
from itertools import chain

import msgspec
import structlog
import trio

from sockerless_ecs.aws import Secrets
from sockerless_ecs.errors import SockerlessError
from sockerless_ecs.model.cleanup import CleanupJob, CleanupKind
from sockerless_ecs.model.reference import Reference
from sockerless_ecs.registry import Login
from sockerless_ecs.services.janitor import new_job
from sockerless_ecs.services.ledger import Ledger
from sockerless_ecs.services.pull_secrets import PullSecrets
from sockerless_ecs.store.contract import Put

_LOG = structlog.get_logger(__name__)
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9/_+=.@-]")
_HASH_DIGITS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    arn: str
    login: Login


class KeptLogins:
    """One secret for each registry and user name, from the first pull that brought it to its last user.

    Its users are the records of images and containers that have its ARN. Before a secret is made the store
    has the clean-up job that will delete it, and has it until that is done: whatever is cut short in between,
    nothing is left in AWS that nobody knows.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        secrets: Secrets,
        rules: PullSecrets,
        instance_id: str,
        tags: Mapping[str, str],
        add_job: Callable[[CleanupJob], None],
    ) -> None:
        self._ledger = ledger
        self._secrets = secrets
        self._rules = rules
        self._instance_id = instance_id
        self._tags = tags
        self._add_job = add_job
        self._kept: dict[str, _Kept] = {}
        self._claims: Counter[str] = Counter()
        """By name: how many records are about to refer to a secret."""
        self._locks: defaultdict[str, trio.Lock] = defaultdict(trio.Lock)

    def wants(self, at: Reference, login: Login | None) -> bool:
        """Whether a login that works at this place is to be kept."""
        usable = login is not None and login.username and login.password and not login.identity_token
        return bool(usable) and self._rules.keeps(at)

    @asynccontextmanager
    async def secret_for(self, at: Reference, login: Login | None) -> AsyncIterator[str]:
        """The ARN of a secret with the login that a registry took; empty where none is to be kept.

        It stays while the context lasts, then for as long as records refer to it. Raises what Secrets Manager
        raises. Cancelled or failed, it leaves a secret only to those who had it before.
        """
        if login is not None and login.identity_token and self._rules.keeps(at):
            _LOG.warning(
                "registry_login_not_kept",
                registry=at.registry,
                reason="ECS cannot use an identity token: log in with a user name and a password",
            )
        if login is None or not self.wants(at, login):
            yield ""
            return
        name = self._name(at.registry, login.username)
        with self._claim(name):
            try:
                arn = await self._ensure(name, at.registry, login)
            except SockerlessError as error:
                raise type(error)(
                    f"the login at {at.registry} could not be kept for Fargate (images.keep_credentials): "
                    f"{error}",
                    request_ids=error.request_ids,
                ) from error
            yield arn

    @contextmanager
    def claimed(self, arn: str) -> Iterator[None]:
        """Meanwhile the secret stays: a record that refers to it is being made."""
        with self._claim(_name_in(arn)) if arn else nullcontext():
            yield

    async def drop(self, job: CleanupJob) -> None:
        """Wait until nobody uses the secret that a clean-up job is about, then delete it.

        Raises what keeps it from being deleted now. Cancelled, it leaves the job to be done.
        """
        deleted = False
        while not deleted:
            await self._ledger.departures.wait_value(lambda _: not self._in_use(job.target))
            async with self._locks[job.target]:
                deleted = await self._delete_unused(job)

    async def _delete_unused(self, job: CleanupJob) -> bool:
        if self._in_use(job.target):
            return False
        self._kept.pop(job.target, None)
        await self._secrets.delete(job.target)
        # Who makes it again makes a job for that: this one is about to go.
        self._ledger.jobs.pop(job.id, None)
        _LOG.info("registry_login_deleted", secret=job.target)
        return True

    async def _ensure(self, name: str, registry: str, login: Login) -> str:
        kept = self._kept.get(name)
        if kept is not None and kept.login == login:
            if await self._secrets.find(name) == kept.arn:
                return kept.arn
            if self._kept.get(name) is kept:  # somebody else has deleted it
                del self._kept[name]
        async with self._locks[name]:
            kept = self._kept.get(name)
            if kept is None or kept.login != login:
                kept = self._kept[name] = await self._keep(name, registry, login)
        return kept.arn

    async def _keep(self, name: str, registry: str, login: Login) -> _Kept:
        self._kept.pop(name, None)  # until AWS has answered, nobody knows what it holds
        await self._promise(name)
        value = msgspec.json.encode({"username": login.username, "password": login.password}).decode()
        description = f"Login at {registry}, kept by sockerless for Fargate's pulls"
        arn = await self._secrets.keep(name, value, description=description, tags=self._tags)
        _LOG.info("registry_login_kept", registry=registry, secret=name)
        return _Kept(arn=arn, login=login)

    async def _promise(self, name: str) -> None:
        """Persist that the secret is to go once nobody uses it."""
        jobs = self._ledger.jobs.values()
        if any(job.kind is CleanupKind.DELETE_SECRET and job.target == name for job in jobs):
            return
        job = new_job(CleanupKind.DELETE_SECRET, name, "nobody uses it any more")
        with trio.CancelScope(shield=True):
            await self._ledger.save(Put(job))
        self._add_job(job)

    def _in_use(self, name: str) -> bool:
        images = (image.credentials_arn for image in self._ledger.images.values())
        containers = (live.record.credentials_arn for live in self._ledger)
        users = chain(images, containers, self._rules.named)
        return self._claims[name] > 0 or any(_name_in(arn) == name for arn in users)

    @contextmanager
    def _claim(self, name: str) -> Iterator[None]:
        self._claims[name] += 1
        try:
            yield
        finally:
            self._claims[name] -= 1
            self._ledger.tell_departure()

    def _name(self, registry: str, username: str) -> str:
        """The same for the same login, in every life of this daemon."""
        digest = hashlib.sha256(f"{registry} {username}".encode()).hexdigest()[:_HASH_DIGITS]
        return f"sockerless/{self._instance_id}/{_NOT_IN_A_NAME.sub('_', registry)}/{digest}"


def _name_in(arn: str) -> str:
    """`arn:…:secret:<name>-<six characters>` → the name."""
    return arn.partition(":secret:")[2].rpartition("-")[0]
