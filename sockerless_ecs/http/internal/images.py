"""Images on the internal API, by query and by path."""

from __future__ import annotations

from sockerless_ecs.errors import Unimplemented
from sockerless_ecs.http.credentials import credentials
from sockerless_ecs.http.progress import write_progress
from sockerless_ecs.http.route import Call, Output, Reply, Route, SocketRoute, Streamed, json_reply
from sockerless_ecs.http.shapes.image import (
    ImageDeletedView,
    ImageHistoryView,
    ImageSummaryView,
    ImageView,
    ProgressLine,
    PrunedImagesView,
    PullBody,
)
from sockerless_ecs.http.views.image import history_view, image_summaries, image_view, pruned_view


async def pull(call: Call) -> Streamed:
    """Learn an image's metadata; progress as JSON lines."""
    body = await call.body(PullBody)
    if not body.reference or body.reference.startswith(":"):
        raise Unimplemented("images are not imported here: POST /images/create of the Docker API does that")
    login = credentials(body.auth)

    async def produce(output: Output) -> None:
        async with call.backend.images.pull(body.reference, login, body.platform) as progress:
            await write_progress(output, progress, at_once=True)

    return Streamed(produce)


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


async def load(call: Call) -> Streamed:
    """Take images from a tar; the answer says what they are called."""

    async def produce(output: Output) -> None:
        async with call.backend.images.load(call.stream_body()) as progress:
            await write_progress(output, progress, at_once=False, quiet=True)

    return Streamed(produce)


async def tag_by_query(call: Call) -> Reply:
    """Give an image that the query names one more name."""
    return await _tag(call, call.query.required("name"))


async def tag_by_path(call: Call) -> Reply:
    """Give an image that the path names one more name."""
    return await _tag(call, call.ref)


async def _tag(call: Call, name: str) -> Reply:
    await call.backend.images.tag(name, call.query.required("repo"), call.query.text("tag"))
    return Reply(201)


async def remove(call: Call) -> Reply:
    """Forget a name, and with the last one the image; no parent goes with it that `noprune` could spare."""
    steps = await call.backend.images.remove(
        call.ref, force=call.query.flag("force"), platforms=call.query.platforms("platforms")
    )
    return json_reply([ImageDeletedView(untagged=step.untagged, deleted=step.deleted) for step in steps])


async def history(call: Call) -> Reply:
    """How it came to be."""
    return json_reply(history_view(await call.backend.images.history(call.ref, call.query.platform())))


async def prune(call: Call) -> Reply:
    """Remove what nobody uses."""
    return json_reply(pruned_view(await call.backend.images.prune(call.query.filters())))


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
        answer=ProgressLine,
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
        answer=ProgressLine,
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
        answer=list[ImageHistoryView],
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
        method="POST",
        path="/images/build",
        operation="ImageBuild",
        summary="Build an image",
        handle=build,
        query=("t", "dockerfile", "buildargs", "rm", "forcerm", "nocache"),
    ),
)
