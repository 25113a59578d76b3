"""The thread gate to AWS: one client and one limiter per service, rates, retries, request ids."""

from __future__ import annotations

import ipaddress
import random
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import boto3.session
import structlog
import trio
from botocore.config import Config

from sockerless_ecs.aws import faults
from sockerless_ecs.aws.budget import Budget
from sockerless_ecs.aws.faults import Again, Fault
from sockerless_ecs.aws.operations import RATES, Operation, Rate
from sockerless_ecs.errors import Conflict, Misconfigured, NotFound

THREADS: Mapping[str, int] = {
    "ecs": 32,
    "logs": 16,
    "ecr": 4,
    "ec2": 4,
    "efs": 4,
    "servicediscovery": 4,
    "secretsmanager": 4,
    "sts": 2,
}
"""How many calls of a service run at once; its connection pool has the same size.

The client of `servicediscovery` (Cloud Map) is made with the others; nothing calls it until names are
registered there.
"""

_log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long one call is waited for, and how often it is tried."""

    connect_seconds: float = 5
    read_seconds: float = 30
    tries_when_throttled: int = 6
    tries_when_unreachable: int = 3
    backoff_seconds: float = 0.25
    longest_backoff_seconds: float = 5


class Calls:
    """Every call to AWS goes through here, in a thread."""

    def __init__(
        self,
        region: str,
        clients: Mapping[str, Any],
        *,
        rates: Mapping[str, Rate] = RATES,
        patience: Patience = Patience(),
    ) -> None:
        self.region = region
        self._clients = clients
        self._patience = patience
        self._limiters = {service: trio.CapacityLimiter(THREADS[service]) for service in clients}
        self._budgets = {bucket: Budget(rate) for bucket, rate in rates.items()}

    async def call(self, operation: Operation, /, **params: Any) -> dict[str, Any]:
        """One AWS call, repeated while that helps; raises our errors, with the request ids.

        Cancelling while it queues or backs off leaves nothing in flight. A read in flight is abandoned; a
        mutation in flight is not: its answer is returned to the caller even so, and no checkpoint lies
        between AWS's answer and the caller's next line. A mutation cancelled after its answer was lost may
        have happened.
        """
        request_ids: tuple[str, ...] = ()
        tries = 0
        while True:
            tries += 1
            await self._budgets[operation.bucket].take()
            began = time.monotonic()
            try:
                answer = await self._in_thread(operation, params)
            except faults.FAILURES as failure:
                found = faults.fault(failure)
                request_ids += (found.request_id,) if found.request_id else ()
                retry = self._worth_another(found, tries)
                _report(operation, found, time.monotonic() - began, tries=tries, retry=retry)
                if not retry:
                    raise faults.error(operation, found, request_ids=request_ids, tries=tries) from failure
            else:
                _log.debug(
                    "aws_call",
                    aws_operation=str(operation),
                    aws_request_id=faults.request_id(answer),
                    duration_ms=_milliseconds(time.monotonic() - began),
                )
                return answer
            if found.rule.again is Again.SLOWER:
                self._budgets[operation.bucket].exhaust()
            await trio.sleep(self._backoff_seconds(tries))

    def close(self) -> None:
        """Close the pooled connections; calls still in flight end by themselves."""
        for client in self._clients.values():
            client.close()

    async def _in_thread(self, operation: Operation, params: dict[str, Any]) -> dict[str, Any]:
        method = getattr(self._clients[operation.service], operation.method)
        answer: dict[str, Any] = await trio.to_thread.run_sync(
            partial(method, **params),
            abandon_on_cancel=operation.reads_only,
            limiter=self._limiters[operation.service],
        )
        return answer

    def _worth_another(self, found: Fault, tries: int) -> bool:
        match found.rule.again:
            case Again.SLOWER:
                return tries < self._patience.tries_when_throttled
            case Again.MAYBE_DONE:
                return tries < self._patience.tries_when_unreachable
            case Again.NO:
                return False

    def _backoff_seconds(self, tries: int) -> float:
        patience = self._patience
        most = min(patience.backoff_seconds * 2 ** (tries - 1), patience.longest_backoff_seconds)
        return random.uniform(most / 2, most)  # noqa: S311 -- jitter, not a secret


async def connect(
    region: str,
    endpoint_url: str | None = None,
    *,
    user_agent: str = "sockerless-ecs",
    rates: Mapping[str, Rate] = RATES,
    patience: Patience = Patience(),
) -> Calls:
    """Make every client, once, with the standard credential chain; raises `Misconfigured`.

    Credentials are not checked here: a call that needs them says so.
    """
    make = partial(_clients, region, endpoint_url, user_agent, patience)
    try:
        clients = await trio.to_thread.run_sync(make)
    except (*faults.FAILURES, ValueError) as failure:
        found = faults.fault(failure)
        advice = f". {found.rule.advice}" if found.rule.advice else ""
        raise Misconfigured(f"AWS: {found.code}: {found.text.rstrip('.')}{advice}") from failure
    return Calls(region, clients, rates=rates, patience=patience)


def _clients(region: str, endpoint_url: str | None, user_agent: str, patience: Patience) -> dict[str, Any]:
    # Sessions are not thread-safe, clients are: one session makes them all, in this one thread.
    session = boto3.session.Session(region_name=region)
    connect_to: Any = session.client
    return {
        service: connect_to(
            service,
            endpoint_url=endpoint_url,
            config=Config(
                connect_timeout=patience.connect_seconds,
                read_timeout=patience.read_seconds,
                # Waiting for another try is Trio's business: it can be cancelled and holds no thread.
                retries={"total_max_attempts": 1, "mode": "standard"},
                max_pool_connections=threads,
                inject_host_prefix=not _by_address(endpoint_url),
                user_agent_extra=user_agent,
            ),
        )
        for service, threads in THREADS.items()
    }


def _by_address(endpoint_url: str | None) -> bool:
    host = urlsplit(endpoint_url or "").hostname or ""
    with suppress(ValueError):
        ipaddress.ip_address(host)
        return True
    return host == "localhost"


def _report(operation: Operation, found: Fault, seconds: float, *, tries: int, retry: bool) -> None:
    # NotFound and Conflict are answers that callers ask for; whoever cannot use them logs them.
    expected = found.rule.becomes in (NotFound, Conflict)
    emit = _log.info if retry else _log.debug if expected else _log.warning
    emit(
        "aws_call_retried" if retry else "aws_call_failed",
        aws_operation=str(operation),
        aws_code=found.code,
        aws_request_id=found.request_id,
        duration_ms=_milliseconds(seconds),
        tries=tries,
    )


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 1)
