"""Images on the Docker Engine API."""

from __future__ import annotations

from collections.abc import Sequence

from sockerless_ecs.engine.values import Credentials, ImportRequest
from sockerless_ecs.errors import InvalidParameter
from sockerless_ecs.http.credentials import credentials
from sockerless_ecs.http.handlers.commits import commit
from sockerless_ecs.http.internal.images import history, prune, remove
from sockerless_ecs.http.progress import write_progress
from sockerless_ecs.http.route import Call, Output, Reply, Route, Streamed, json_reply
from sockerless_ecs.http.shapes.create import CreateBody
from sockerless_ecs.http.shapes.image import (
    CommittedView,
    DistributionView,
    ImageDeletedView,
    ImageHistoryView,
    ImageSummaryView,
    ImageView,
    ProgressLine,
    PrunedImagesView,
    SearchResultView,
)
from sockerless_ecs.http.views.image import distribution_view, image_summaries, image_view, search_view
from sockerless_ecs.model import reference as references
from sockerless_ecs.model.layers import shared_bytes

_SHARED_SINCE = (1, 42)


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
    found, shared = await call.backend.images.list(filters), None
    if call.version >= _SHARED_SINCE and call.query.flag("shared-size"):
        shared = shared_bytes(await call.backend.images.list({}) if filters else found)
    return json_reply(image_summaries(found, call.version, shared=shared))


async def inspect(call: Call) -> Reply:
    """Show an image."""
    image = await call.backend.images.inspect(call.ref, call.query.platform())
    return json_reply(image_view(image, await call.backend.images.names(image.id), call.version))


async def tag(call: Call) -> Reply:
    """Give an image one more name."""
    await call.backend.images.tag(call.ref, call.query.text("repo"), call.query.text("tag"))
    return Reply(201)


async def load(call: Call) -> Streamed:
    """Take images from a tar; unless it is to be quiet, the progress of their layers too."""
    quiet, platform = call.query.flag("quiet", default=True), call.query.platform()

    async def produce(output: Output) -> None:
        async with call.backend.images.load(call.stream_body(), platform) as progress:
            await write_progress(output, progress, at_once=False, quiet=quiet)

    return Streamed(produce)


async def push(call: Call) -> Streamed:
    """Bring an image to the registry that its name says; what is wrong is told in the lines."""
    images, login, platform = call.backend.images, _login(call), call.query.platform()

    async def produce(output: Output) -> None:
        async with images.push(call.ref, call.query.text("tag"), login, platform) as progress:
            await write_progress(output, progress, at_once=True)

    return Streamed(produce)


async def save(call: Call) -> Streamed:
    """A tar of the image in the path."""
    return _saved(call, [call.ref])


async def save_all(call: Call) -> Streamed:
    """A tar of the images in the query."""
    return _saved(call, call.query.texts("names"))


def _saved(call: Call, names: Sequence[str]) -> Streamed:
    platform = call.query.platform()

    async def produce(output: Output) -> None:
        async with call.backend.images.save(names, platform) as pieces:
            await output.begin("application/x-tar")
            async for piece in pieces:
                await output.write(piece)

    return Streamed(produce)


async def search(call: Call) -> Reply:
    """Ask a registry's index for repositories."""
    limit = call.query.number("limit") or 0
    found = await call.backend.registries.search(
        call.query.text("term"), limit=limit, filters=call.query.filters(), credentials=_login(call)
    )
    return json_reply(search_view(found))


async def distribution(call: Call) -> Reply:
    """Show what a name means at its registry."""
    return json_reply(distribution_view(await call.backend.registries.offer(call.ref, _login(call))))


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
        path="/images/get",
        operation="ImageGetAll",
        summary="A tar of images",
        handle=save_all,
        query=("names", "platform"),
    ),
    Route(
        method="GET",
        path=f"{_ONE}/get",
        operation="ImageGet",
        summary="A tar of an image",
        handle=save,
        query=("platform",),
    ),
    Route(
        method="POST",
        path=f"{_ONE}/push",
        operation="ImagePush",
        summary="Push an image to its registry",
        handle=push,
        query=("tag", "platform"),
        answer=ProgressLine,
    ),
    Route(
        method="GET",
        path="/images/search",
        operation="ImageSearch",
        summary="Search a registry",
        handle=search,
        query=("term", "limit", "filters"),
        answer=list[SearchResultView],
    ),
    Route(
        method="POST",
        path="/images/prune",
        operation="ImagePrune",
        summary="Remove unused images",
        handle=prune,
        query=("filters",),
        answer=PrunedImagesView,
    ),
    Route(
        method="GET",
        path=f"{_ONE}/json",
        operation="ImageInspect",
        summary="Inspect an image",
        handle=inspect,
        query=("manifests", "platform"),
        answer=ImageView,
    ),
    Route(
        method="GET",
        path=f"{_ONE}/history",
        operation="ImageHistory",
        summary="How an image came to be",
        handle=history,
        query=("platform",),
        answer=list[ImageHistoryView],
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
        query=("force", "noprune", "platforms"),
        answer=list[ImageDeletedView],
    ),
    Route(
        method="GET",
        path="/distribution/<refs:ref>/json",
        operation="DistributionInspect",
        summary="What a name means at its registry",
        handle=distribution,
        answer=DistributionView,
    ),
)
