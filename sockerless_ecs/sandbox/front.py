"""The front door: every request is counted, throttled, checked against its shape, and then answered."""

from __future__ import annotations

import secrets
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from sockerless_ecs.sandbox.ecs.table import Table
from sockerless_ecs.sandbox.faults import Applied, Faults
from sockerless_ecs.sandbox.mocked import Mocked
from sockerless_ecs.sandbox.network import Network
from sockerless_ecs.sandbox.options import REGION
from sockerless_ecs.sandbox.rates import LAUNCH, Rates
from sockerless_ecs.sandbox.wire.answers import Answer, failure, success
from sockerless_ecs.sandbox.wire.call import AwsError, Call, LostAnswer
from sockerless_ecs.sandbox.wire.models import Models
from sockerless_ecs.sandbox.wire.reading import Unreadable, read_call
from sockerless_ecs.sandbox.wire.shapes import violations

_log = structlog.get_logger()

Operation = Callable[[Mapping[str, Any]], dict[str, Any]]
_NOT_BUILT = 501


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """An HTTP request, whole."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    environ: Callable[[], dict[str, Any]]
    """The same request for a WSGI application."""


class Front:
    """Answers AWS calls: ours by `operations`, the others by moto."""

    def __init__(
        self,
        *,
        models: Models,
        rates: Rates,
        faults: Faults,
        operations: Mapping[str, Mapping[str, Operation]],
        mocked: Mocked,
        network: Network,
        table: Table,
    ) -> None:
        self._models = models
        self._rates = rates
        self._faults = faults
        self._operations = operations
        self._mocked = mocked
        self._network = network
        self._table = table
        self._lock = threading.Lock()
        self.counts: Counter[str] = Counter()
        self.throttled: Counter[str] = Counter()

    def answer(self, request: Request) -> Answer | None:
        """The answer to an AWS request; None when it is none. Raises `LostAnswer` to hang up."""
        request_id = str(uuid.uuid4())
        try:
            call = read_call(
                self._models,
                method=request.method,
                path=request.path,
                query=request.query,
                headers=request.headers,
                body=request.body,
                request_id=request_id,
            )
        except Unreadable as error:
            return failure(self._models.protocol(error.call.service), error.error, request_id)
        except AwsError as error:
            return failure("json", error, request_id)
        return self._called(call, request) if call else None

    def reset_counts(self) -> None:
        """Count from zero."""
        with self._lock:
            self.counts.clear()
            self.throttled.clear()

    def _called(self, call: Call, request: Request) -> Answer:
        protocol = self._models.protocol(call.service)
        applied = self._faults.hit(call)
        self._faults.slow_down(applied)
        with self._lock:
            self.counts[call.name] += 1
        try:
            if slow := applied.of("latency"):
                time.sleep(slow.seconds)
            self._throttle(call, applied)
            if wrong := applied.of("error"):
                raise AwsError(
                    wrong.code or "ServerException", wrong.message or "Ordered failure.", status=wrong.status
                )
            self._check(call)
            answer = self._effect(call, request, applied)
        except AwsError as error:
            answer = failure(protocol, error, call.request_id)
        except Exception as error:  # noqa: BLE001 - a request's edge: logged and answered
            _log.exception("sandbox_call_failed", call=call.name)
            answer = failure(
                protocol,
                AwsError("ServerException", f"The sandbox failed: {error!r}", status=500),
                call.request_id,
            )
        if applied.of("lost_answer"):
            raise LostAnswer
        return answer

    def _throttle(self, call: Call, applied: Applied) -> None:
        ordered = applied.of("throttle")
        if not ordered and self._rates.take(call.name) and self._may_launch(call):
            return
        with self._lock:
            self.throttled[call.name] += 1
        code, status, message = self._models.throttled(call.service)
        if ordered:
            code, message = ordered.code or code, ordered.message or message
        raise AwsError(code, message, status=status)

    def _may_launch(self, call: Call) -> bool:
        count = call.params.get("count", 1)
        tasks = min(max(count, 1), 10) if isinstance(count, int) else 1
        return call.name != "ecs:RunTask" or self._rates.take(LAUNCH, tasks)

    def _check(self, call: Call) -> None:
        model = self._models.operation(call.service, call.operation)
        shape = model.input_shape if model is not None else None
        if shape is None:
            return
        found = list(violations(shape, call.params))
        if found:
            code, status = self._models.invalid(call.service)
            noun = "error" if len(found) == 1 else "errors"
            raise AwsError(
                code, f"{len(found)} validation {noun} detected: {'; '.join(found)}", status=status
            )

    def _effect(self, call: Call, request: Request, applied: Applied) -> Answer:
        if call.region != REGION:
            message = f"The sandbox is in {REGION} and has no {call.region}."
            raise AwsError("UnsupportedOperation", message, status=_NOT_BUILT)
        ours = self._operations.get(call.service)
        if ours is None:
            return self._moto(call, request)
        if (refusal := applied.of("failures")) and call.name == "ecs:RunTask":
            reason = refusal.code or "RESOURCE:MEMORY"
            failures = [{"arn": f"arn:aws:ecs:{call.region}:::{secrets.token_hex(8)}", "reason": reason}]
            if refusal.message:
                failures[0]["detail"] = refusal.message
            return success({"tasks": [], "failures": failures}, call.request_id)
        operation = ours.get(call.operation)
        if operation is None:
            raise AwsError(
                "UnsupportedOperation", f"The sandbox does not have {call.name}.", status=_NOT_BUILT
            )
        return success(operation(call.params), call.request_id)

    def _moto(self, call: Call, request: Request) -> Answer:
        if call.name == "ec2:DeleteSecurityGroup":
            self._refuse_used_group(call.params)
        answer = self._mocked.answer(call, request.environ(), request.body)
        if (
            call.service == "ec2"
            and "SecurityGroup" in call.operation
            and not call.operation.startswith("Describe")
        ):
            self._network.mirror()
        return answer

    def _refuse_used_group(self, params: Mapping[str, Any]) -> None:
        """A group cannot go while the interface of a task has it, which is until the task is STOPPED."""
        group = params.get("GroupId")
        for tasks in self._table.everything().values():
            if any(group in task.placement.groups and not task.stopped for task in tasks):
                raise AwsError("DependencyViolation", f"resource {group} has a dependent object")
