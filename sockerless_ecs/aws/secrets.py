"""Secrets Manager: secrets by their names, made, changed and deleted. What they hold is never read back."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence

import trio

from sockerless_ecs.aws.calls import Calls
from sockerless_ecs.aws.faults import code_of
from sockerless_ecs.aws.operations import (
    CREATE_SECRET,
    DELETE_SECRET,
    DESCRIBE_SECRET,
    PUT_SECRET_VALUE,
    RESTORE_SECRET,
)
from sockerless_ecs.aws.tags import acceptable
from sockerless_ecs.errors import Conflict, NotFound, Unavailable

_PAUSES_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0)
"""A name is free again only some time after DeleteSecret has answered."""
_EXISTS, _GOING = "ResourceExistsException", "InvalidRequestException"


class Secrets:
    """The secrets of the account in one region."""

    def __init__(self, calls: Calls, *, pauses_seconds: Sequence[float] = _PAUSES_SECONDS) -> None:
        self._calls = calls
        self._pauses_seconds = pauses_seconds

    async def find(self, name: str) -> str | None:
        """The ARN of a secret; None when there is none, or when it is to be deleted."""
        try:
            answer = await self._calls.call(DESCRIBE_SECRET, SecretId=name)
        except NotFound:
            return None
        return None if answer.get("DeletedDate") else str(answer["ARN"])

    async def keep(self, name: str, value: str, *, description: str, tags: Mapping[str, str]) -> str:
        """Make the secret, or give the one of that name this value; its ARN.

        One that is to be deleted is restored, one that is being deleted is waited for. Raises `Unavailable`
        when that takes too long. A cancellation leaves the value of before or this one, or no secret.
        """
        labels = [{"Key": key, "Value": value} for key, value in acceptable(tags).items()]
        token = str(uuid.uuid4())  # a try whose answer was lost makes no second version
        pauses_seconds = iter(self._pauses_seconds)
        while True:
            try:
                answer = await self._calls.call(
                    CREATE_SECRET,
                    Name=name,
                    SecretString=value,
                    ClientRequestToken=token,
                    Description=description,
                    Tags=labels,
                )
                return str(answer["ARN"])
            except Conflict as conflict:
                if code_of(conflict) not in (_EXISTS, _GOING):
                    raise
            try:
                return await self._change(name, value, token)
            except (Conflict, NotFound) as error:
                if isinstance(error, Conflict) and code_of(error) != _GOING:
                    raise
                pause_seconds = next(pauses_seconds, None)
                if pause_seconds is None:
                    raise Unavailable(
                        f"{error.message}. The secret {name} is still being deleted: try again in a minute",
                        request_ids=error.request_ids,
                    ) from error
            await trio.sleep(pause_seconds)

    async def delete(self, name: str) -> None:
        """Delete it at once and for good; one that is not there is fine."""
        try:
            await self._calls.call(DELETE_SECRET, SecretId=name, ForceDeleteWithoutRecovery=True)
        except NotFound:
            return

    async def _change(self, name: str, value: str, token: str) -> str:
        try:
            return await self._put(name, value, token)
        except Conflict as conflict:
            if code_of(conflict) != _GOING:
                raise
        await self._calls.call(RESTORE_SECRET, SecretId=name)
        return await self._put(name, value, token)

    async def _put(self, name: str, value: str, token: str) -> str:
        answer = await self._calls.call(
            PUT_SECRET_VALUE, SecretId=name, SecretString=value, ClientRequestToken=token
        )
        return str(answer["ARN"])
