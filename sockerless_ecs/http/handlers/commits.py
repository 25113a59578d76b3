"""An image of a container."""

from __future__ import annotations

from sockerless_ecs.engine.values import CommitRequest
from sockerless_ecs.errors import InvalidParameter
from sockerless_ecs.http.bodies import decode
from sockerless_ecs.http.create import image_config
from sockerless_ecs.http.route import Call, Reply, json_reply
from sockerless_ecs.http.shapes.create import CreateBody
from sockerless_ecs.http.shapes.image import CommittedView


async def commit(call: Call) -> Reply:
    """Keep a container's files and its configuration as an image; one in the body goes before its own."""
    ref = call.query.text("container").lstrip("/")
    if not ref:
        raise InvalidParameter('invalid name or ID supplied: ""')
    wanted = CommitRequest(
        repository=call.query.text("repo"),
        tag=call.query.text("tag"),
        comment=call.query.text("comment"),
        author=call.query.text("author"),
        pause=not call.query.text("pause") or call.query.flag("pause"),
        changes=tuple(call.query.texts("changes")),
        config=image_config(_body(await call.read_body())),
    )
    return json_reply(CommittedView(id=await call.backend.containers.commit(ref, wanted)), 201)


def _body(raw: bytes) -> CreateBody:
    """The docker command sends `null`."""
    return CreateBody() if raw.strip() == b"null" else decode(raw, CreateBody)
