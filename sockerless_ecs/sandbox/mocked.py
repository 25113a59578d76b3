"""The AWS services that moto plays as they are: EC2, EFS, STS, Cloud Map and Secrets Manager."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sockerless_ecs.sandbox.wire.answers import Answer
from sockerless_ecs.sandbox.wire.call import ACCOUNT, Call

# Read by moto when its EC2 is imported: without this it loads every public machine image.
os.environ.setdefault("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")

_LOAD = "load_resource"
_REQUEST_ID = re.compile(rb"(<requestid>)[^<]*(</requestid>)", re.IGNORECASE)
"""In the query protocols the answer's body has one too, and botocore takes that."""


class Mocked:
    """moto's server application, spoken to in process."""

    def __init__(self) -> None:
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app  # noqa: PLC0415

        self._application = DomainDispatcherApplication(create_backend_app)

    def answer(self, call: Call, environ: Mapping[str, Any], body: bytes) -> Answer:
        """Moto's answer to a request."""
        seen: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(
            status: str, headers: list[tuple[str, str]], _error: object = None
        ) -> Callable[..., None]:
            seen.append((status, headers))
            return lambda *_: None

        scope = {**environ, "wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
        chunks: Iterable[bytes] = self._application(scope, start_response)
        content = b"".join(chunks)
        status, headers = seen[-1]
        kept = {
            name: value for name, value in headers if name.lower() not in ("content-length", "server", "date")
        }
        kept["x-amzn-RequestId"] = call.request_id
        content = _REQUEST_ID.sub(rb"\g<1>" + call.request_id.encode() + rb"\g<2>", content, count=1)
        return Answer(status=int(status.split(" ", 1)[0]), headers=kept, body=content)


def ec2_backend(region: str) -> Any:
    """The EC2 that moto has of a region, with its default VPC."""
    with _without_instance_types():
        from moto.ec2.models import ec2_backends  # noqa: PLC0415
    return ec2_backends[ACCOUNT][region]


def create_file_system(region: str, subnets: Iterable[str], group: str) -> str:
    """An EFS file system that every subnet can mount; its id."""
    from moto.efs.models import efs_backends  # noqa: PLC0415

    backend = efs_backends[ACCOUNT][region]
    system = backend.create_file_system("sandbox", "generalPurpose", False, "", "bursting", 0, "", False, [])
    for subnet in subnets:
        backend.create_mount_target(system.file_system_id, subnet, None, [group])
    return str(system.file_system_id)


def secret_value(region: str, name: str) -> str | None:
    """What a secret holds, by its ARN or name; None when there is none."""
    from moto.core.exceptions import JsonRESTError  # noqa: PLC0415
    from moto.secretsmanager.models import secretsmanager_backends  # noqa: PLC0415

    backend = secretsmanager_backends[ACCOUNT][region]
    try:
        found = backend.get_secret_value(secret_id=name, version_id="", version_stage="")
    except JsonRESTError:
        return None
    # moto takes the beginning of an ARN for the whole, and so the ARN of a secret before this one.
    return found.get("SecretString") if name in (found["ARN"], found["Name"]) else None


@contextmanager
def _without_instance_types() -> Iterator[None]:
    """Importing moto reads every EC2 instance type: 140 MB and half a second that no task needs."""
    from moto.utilities import utils  # noqa: PLC0415

    load: Callable[[str], Any] = getattr(utils, _LOAD)

    def load_unless_instance_types(resource: str) -> Any:
        return {} if "instance_type" in resource else load(resource)

    setattr(utils, _LOAD, load_unless_instance_types)
    try:
        yield
    finally:
        setattr(utils, _LOAD, load)
