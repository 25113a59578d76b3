"""Images on the Docker Engine API."""

from __future__ import annotations

from sockerless_ecs.engine.values import Credentials, ImportRequest
from sockerless_ecs.errors import InvalidParameter
from sockerless_ecs.http.credentials import credentials
from sockerless_ecs.http.handlers.commits import commit
from sockerless_ecs.http.internal.images import remove
from sockerless_ecs.http.progress import write_progress
from sockerless_ecs.http.route import Call, Output, Reply, Route, Streamed, json_reply
from sockerless_ecs.http.shapes.create import CreateBody
from sockerless_ecs.http.shapes.image import (
    CommittedView,
    ImageDeletedView,
    ImageSummaryView,
    ImageView,
    ProgressLine,
)
from sockerless_ecs.http.views.image import image_summaries, image_view
from sockerless_ecs.model import reference as references


async def create(call: Call) -> Streamed:
    """Learn an image's metadata, or make one of a tar; progress as JSON lines."""
    if call.query.text("fromSrc") and not call.query.text("fromImage"):
        return _import(call)
    wanted, all_tags = _wanted(call.query.text("fromImage"), call.query.text("tag"))
    platform, login = call.query.text("platform") or None, _login(call)

    async def produce(output: Output) -> None:
        async with call.backend.images.pull(wanted, login, platform, all_tags=all_tags) as progress:
            await write_progress(output, progress, at_once=True)

    return Streamed(produce)


def _import(call: Call) -> Streamed:
    wanted = ImportRequest(
        source=call.query.text("fromSrc"),
        repository=call.query.text("repo"),
        tag=call.query.text("tag"),
        message=call.query.text("message"),
        changes=tuple(call.query.texts("changes")),
        platform=call.query.text("platform") or None,
    )

    async def produce(output: Output) -> None:
        async with call.backend.images.import_(wanted, call.stream_body()) as progress:
            await write_progress(output, progress, at_once=False)

    return Streamed(produce)


def _wanted(image: str, tag: str) -> tuple[str, bool]:
    """The reference in the two parameters (a tag may be a digest), and whether it is every tag's."""
    named = references.parse(image.removesuffix(":"))
    if tag:
        text = f"{references.familiar_name(named)}{'@' if ':' in tag else ':'}{tag}"
        return references.parse(text).full, False
    return (named.full, False) if named.tag or named.digest else (named.name, True)


def _login(call: Call) -> Credentials | None:
    """As Docker has it, a pull goes on without credentials when those that were sent cannot be read."""
    try:
        return credentials(call.headers.get("x-registry-auth"))
    except InvalidParameter:
        return None


async def list_(call: Call) -> Reply:
    """List images."""
    filters = call.query.filters()
    if named := call.query.text("filter"):  # what clients sent before there were filters
        filters["reference"] = [*filters.get("reference", ()), named]
    return json_reply(image_summaries(await call.backend.images.list(filters), call.version))


async def inspect(call: Call) -> Reply:
    """Show an image."""
    image = await call.backend.images.inspect(call.ref)
    return json_reply(image_view(image, await call.backend.images.names(image.id), call.version))


async def tag(call: Call) -> Reply:
    """Give an image one more name."""
    await call.backend.images.tag(call.ref, call.query.text("repo"), call.query.text("tag"))
    return Reply(201)


async def load(call: Call) -> Streamed:
    """Take images from a tar; unless it is to be quiet, the progress of their layers too."""
    quiet = call.query.flag("quiet", default=True)

    async def produce(output: Output) -> None:
        async with call.backend.images.load(call.stream_body()) as progress:
            await write_progress(output, progress, at_once=False, quiet=quiet)

    return Streamed(produce)


_ONE = "/images/<refs:ref>"

ROUTES: tuple[Route, ...] = (
    Route(
        method="POST",
        path="/commit",
        operation="ImageCommit",
        summary="Make an image of a container",
        handle=commit,
        query=("container", "repo", "tag", "comment", "author", "pause", "changes"),
        body=CreateBody,
        answer=CommittedView,
        status=201,
    ),
    Route(
        method="POST",
        path="/images/create",
        operation="ImageCreate",
        summary="Pull an image, or import one",
        handle=create,
        query=("fromImage", "fromSrc", "repo", "tag", "message", "changes", "platform"),
        answer=ProgressLine,
    ),
    Route(
        method="GET",
        path="/images/json",
        operation="ImageList",
        summary="List images",
        handle=list_,
        query=("all", "filters", "filter", "shared-size", "digests", "manifests"),
        answer=list[ImageSummaryView],
    ),
    Route(
        method="POST",
        path="/images/load",
        operation="ImageLoad",
        summary="Load images from a tar",
        handle=load,
        query=("quiet", "platform"),
        answer=ProgressLine,
    ),
    Route(
        method="GET",
        path=f"{_ONE}/json",
        operation="ImageInspect",
        summary="Inspect an image",
        handle=inspect,
        query=("manifests",),
        answer=ImageView,
    ),
    Route(
        method="POST",
        path=f"{_ONE}/tag",
        operation="ImageTag",
        summary="Give an image one more name",
        handle=tag,
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
)
