"""Images on the internal API, by query and by path."""

from __future__ import annotations

import base64
import binascii

import msgspec

from sockerless_ecs.engine.contract import Credentials
from sockerless_ecs.errors import InvalidParameter, SockerlessError, Unimplemented
from sockerless_ecs.http.route import Call, Output, Reply, Route, SocketRoute, Streamed, json_reply
from sockerless_ecs.http.shapes.image import (
    ImageDeletedView,
    ImageSummaryView,
    ImageView,
    PullBody,
    PullErrorLine,
    PullLine,
)
from sockerless_ecs.http.shapes.system import AuthBody
from sockerless_ecs.http.views.image import image_summaries, image_view


async def pull(call: Call) -> Streamed:
    """Learn an image's metadata; progress as JSON lines."""
    body = await call.body(PullBody)
    if not body.reference or body.reference.startswith(":"):
        raise Unimplemented("image import is not implemented: Fargate pulls images from registries")
    credentials = _credentials(body.auth)

    async def produce(output: Output) -> None:
        async with call.backend.images.pull(body.reference, credentials, body.platform) as progress:
            await output.begin("application/json")
            try:
                async for line in progress:
                    await output.write(_line(PullLine(status=line.status, id=line.id)))
            except SockerlessError as error:
                await output.write(_line(PullErrorLine.of(error.message)))

    return Streamed(produce)


def _line(value: msgspec.Struct) -> bytes:
    return msgspec.json.encode(value) + b"\n"


def _credentials(header: str | None) -> Credentials | None:
    """What Docker's `X-Registry-Auth` carries: base64url of JSON."""
    if not header:
        return None
    try:
        bare = header.replace("+", "-").replace("/", "_").rstrip("=")
        raw = base64.b64decode(bare + "=" * (-len(bare) % 4), altchars=b"-_", validate=True)
        auth = msgspec.json.decode(raw.strip() or b"{}", type=AuthBody)
    except (ValueError, binascii.Error, msgspec.DecodeError):
        raise InvalidParameter("Auth: not the base64url form of registry credentials") from None
    username, password = auth.username or "", auth.password or ""
    if auth.auth and not username:
        username, password = _basic(auth.auth)
    if not (username or password or auth.identitytoken):
        return None
    return Credentials(
        username=username,
        password=password,
        identity_token=auth.identitytoken or "",
        server_address=auth.serveraddress or "",
    )


def _basic(value: str) -> tuple[str, str]:
    try:
        username, _, password = base64.b64decode(value).decode().partition(":")
    except ValueError:
        raise InvalidParameter("Auth: its auth is not the base64 form of user:password") from None
    return username, password


async def inspect_by_query(call: Call) -> Reply:
    """Show an image that the query names."""
    return await _inspect(call, call.query.required("name"))


async def inspect_by_path(call: Call) -> Reply:
    """Show an image that the path names."""
    return await _inspect(call, call.ref)


async def _inspect(call: Call, name: str) -> Reply:
    image = await call.backend.images.inspect(name)
    return json_reply(image_view(image, await call.backend.images.names(image.id)))


async def list_(call: Call) -> Reply:
    """List images."""
    return json_reply(image_summaries(await call.backend.images.list(call.query.filters())))


async def load(call: Call) -> Reply:
    """Take an image from a tar."""
    await call.backend.images.load()
    raise Unimplemented("image load is not implemented yet")


async def tag_by_query(call: Call) -> Reply:
    """Give an image that the query names one more name."""
    return await _tag(call, call.query.required("name"))


async def tag_by_path(call: Call) -> Reply:
    """Give an image that the path names one more name."""
    return await _tag(call, call.ref)


async def _tag(call: Call, name: str) -> Reply:
    await call.backend.images.tag(name, call.query.required("repo"), call.query.text("tag", "latest"))
    return Reply(201)


async def remove(call: Call) -> Reply:
    """Forget an image."""
    await call.backend.images.remove(call.ref, force=call.query.flag("force"))
    return json_reply([ImageDeletedView(untagged=call.ref)])


async def history(_: Call) -> Reply:
    """How it came to be."""
    raise Unimplemented("image history is not implemented yet")


async def prune(_: Call) -> Reply:
    """Remove what nobody uses."""
    raise Unimplemented("image prune is not implemented yet")


async def build(_: Call) -> Reply:
    """Make an image."""
    raise Unimplemented("image build is not implemented: build elsewhere and push to a registry")


_ONE = "/images/<refs:ref>"

ROUTES: tuple[Route | SocketRoute, ...] = (
    Route(
        method="POST",
        path="/images/pull",
        operation="ImagePull",
        summary="Pull an image's metadata",
        handle=pull,
        body=PullBody,
        answer=PullLine,
    ),
    Route(
        method="GET",
        path="/images/inspect",
        operation="ImageInspect",
        summary="Inspect an image",
        handle=inspect_by_query,
        query=("name",),
        answer=ImageView,
    ),
    Route(
        method="GET",
        path=_ONE,
        operation="ImageInspectByPath",
        summary="Inspect an image",
        handle=inspect_by_path,
        answer=ImageView,
    ),
    Route(
        method="GET",
        path="/images",
        operation="ImageList",
        summary="List images",
        handle=list_,
        query=("all", "filters"),
        answer=list[ImageSummaryView],
    ),
    Route(
        method="POST",
        path="/images/load",
        operation="ImageLoad",
        summary="Load images from a tar",
        handle=load,
    ),
    Route(
        method="POST",
        path="/images/tag",
        operation="ImageTag",
        summary="Give an image one more name",
        handle=tag_by_query,
        query=("name", "repo", "tag"),
        status=201,
    ),
    Route(
        method="POST",
        path=f"{_ONE}/tag",
        operation="ImageTagByPath",
        summary="Give an image one more name",
        handle=tag_by_path,
        query=("repo", "tag"),
        status=201,
    ),
    Route(
        method="DELETE",
        path=_ONE,
        operation="ImageDelete",
        summary="Remove an image",
        handle=remove,
        query=("force", "noprune"),
        answer=list[ImageDeletedView],
    ),
    Route(
        method="GET",
        path=f"{_ONE}/history",
        operation="ImageHistory",
        summary="How an image came to be",
        handle=history,
    ),
    Route(
        method="POST",
        path="/images/prune",
        operation="ImagePrune",
        summary="Remove unused images",
        handle=prune,
        query=("filters",),
    ),
    Route(
        method="POST",
        path="/images/build",
        operation="ImageBuild",
        summary="Build an image",
        handle=build,
        query=("t", "dockerfile", "buildargs", "rm", "forcerm", "nocache"),
    ),
)
