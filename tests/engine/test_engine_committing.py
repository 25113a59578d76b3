"""A container becomes an image of its image's layers and one of its own; it goes on whatever happens."""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
import trio

from sockerless_ecs.agent import AgentLost
from sockerless_ecs.agent.files import ChangedPath
from sockerless_ecs.engine.committing import Committer
from sockerless_ecs.engine.values import CommitRequest
from sockerless_ecs.errors import (
    Conflict,
    InvalidParameter,
    NotFound,
    SockerlessError,
    StoreUnusable,
    Unavailable,
    Unimplemented,
)
from sockerless_ecs.model.container import ContainerConfig, CreateRequest, Healthcheck, HostConfig
from sockerless_ecs.model.image import Image, ImageConfig
from sockerless_ecs.model.lifecycle import Event, State
from sockerless_ecs.model.reference import Reference, parse, source_of
from sockerless_ecs.registry import RegistryClient
from sockerless_ecs.registry.digest import digest_of
from sockerless_ecs.registry.manifest import DOCKER_CONFIG, DOCKER_LAYER, DOCKER_MANIFEST, OCI_LAYER_GZIP
from sockerless_ecs.sandbox.registry import Registry
from sockerless_ecs.services.ledger import Live
from sockerless_ecs.store.contract import Put
from tests.cancelling import CancelAt
from tests.engine.bundles import archive, as_json, layer, parts, tarred
from tests.engine.loads import Loads, any_login
from tests.images import ANY_LOGIN
from tests.registry.conftest import QUICK
from tests.services.fake_files import Disk, FakeArchive
from tests.services.world import Outside, World, daemon

BASE = parts(
    [layer({"etc/passwd": b"root\n"}), layer({"bin/sh": b"x" * 5000})],
    config={"Cmd": ["/bin/sh"], "Labels": {"of": "base"}, "ExposedPorts": {"80/tcp": {}}},
    history=[{"created": "2026-01-01T00:00:00Z", "created_by": "one"}, {"created_by": "two"}],
)
PACKED = layer({"etc/new": b"added\n"})
NEW = ChangedPath("/etc/new", directory=False, entries=())


class CountingClient(RegistryClient):
    """Knows which layers were read."""

    opened: list[str]

    def open_blob(
        self, reference: Reference, digest: str
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        self.opened.append(digest)
        return super().open_blob(reference, digest)


class Meanwhile:
    """What happens while an agent packs."""

    def __init__(self, do: Callable[[], Awaitable[None]]) -> None:
        self._do = do

    async def wait(self) -> None:
        await self._do()


class Commits:
    """Containers of an image that a real registry has."""

    def __init__(self, loads: Loads, committer: Committer) -> None:
        self.loads, self.world, self.committer = loads, loads.world, committer

    async def create(
        self, image: str = "base:1", *, host: HostConfig | None = None, **config: object
    ) -> Live:
        wanted = ContainerConfig(image=image, cmd=("sleep", "60"), **config)  # type: ignore[arg-type]
        created = await self.world.containers.create(
            CreateRequest(name=None, config=wanted, host=host or HostConfig())
        )
        return self.world.ledger.find(created.id)

    async def run(self, **config: object) -> Live:
        """A container that has added /etc/new."""
        live = await self.create(**config)  # type: ignore[arg-type]
        await self.world.containers.start(live.id)
        self.disk(live).changed, self.disk(live).tars["layer"] = [NEW], [PACKED]
        return live

    def disk(self, live: Live) -> Disk:
        assert live.agent is not None
        return self.world.files.disk(live.agent)

    async def commit(self, live: Live, **wanted: object) -> Image:
        request = CommitRequest(**{"repository": "made", "tag": "1", **wanted})  # type: ignore[arg-type]
        return self.loads.images.find(await self.committer.commit(live, request))

    async def document(self, image: Image) -> dict[str, object]:
        text = await self.world.ledger.image_file(image.id)
        assert text is not None
        found: dict[str, object] = json.loads(text)
        return found

    def told(self) -> list[str]:
        """What happened to containers since they run."""
        return [action for action in self.world.actions() if action not in ("create", "start")]

    def goes_on(self, live: Live) -> bool:
        """It runs as before, and nobody was told of an image."""
        running = live.record.state is State.RUNNING and not self.world.agent.paused
        return running and self.nothing_made() and "commit" not in self.world.actions()

    def nothing_made(self) -> bool:
        names = {image.ref for image in self.world.ledger.images.values()}
        return names == {"docker.io/library/alpine:latest", "docker.io/library/base:1"}


@pytest.fixture
async def real_world(tmp_path: Path) -> AsyncIterator[World]:
    """On the real clock: one that jumps takes a thread for idleness."""
    async with daemon(Outside(uploads=tmp_path / "uploads")) as running:
        running.contents.image.apply(
            [("/etc", True), ("/etc/passwd", False), ("/bin", True), ("/bin/sh", False)]
        )
        yield running


@pytest.fixture
async def commits(loads: Loads) -> Commits:
    await loads.load(tarred(archive(BASE, "base:1")))
    return Commits(loads, loads.world.committer(loads.client, loads.ecr))


async def test_what_a_container_has_changed_is_one_more_layer(commits: Commits) -> None:
    live = await commits.run()
    image = await commits.commit(live)
    assert commits.loads.files("made:1") == [*BASE.layers, PACKED]
    assert image.layers == (*(digest_of(one) for one in BASE.layers), digest_of(PACKED))
    assert commits.disk(live).packed == [["/etc", "/etc/new"]]
    assert (image.config.cmd, image.config.labels) == (("sleep", "60"), {"of": "base"})
    assert (image.architecture, image.repository) == ("amd64", f"{commits.loads.ecr.registry}/loaded")
    assert (await commits.world.store.load()).images[image.ref] == image


async def test_what_it_took_away_is_told_before_what_it_packs(commits: Commits) -> None:
    live = await commits.run()
    commits.disk(live).changed = [NEW, ChangedPath("/etc", directory=True, entries=("new",))]
    await commits.commit(live)
    *_, own = commits.loads.files("made:1")
    with tarfile.open(fileobj=io.BytesIO(own)) as tar:
        assert [(one.name, one.size, one.type) for one in tar] == [
            ("etc/.wh.passwd", 0, tarfile.REGTYPE),
            ("etc/new", 6, tarfile.REGTYPE),
        ]
    assert commits.disk(live).packed == [["/etc", "/etc/new"]]


async def test_configuration_file_is_as_docker_makes_it(commits: Commits) -> None:
    check = Healthcheck(test=("CMD", "x"), interval_ns=5_000_000)
    live = await commits.run(
        env=("A=1",), user="me", healthcheck=check, volumes=("/data",), hostname="box", tty=True
    )
    image = await commits.commit(live, comment="why", author="who", changes=("ENV B=$A", "LABEL x=y"))
    document = await commits.document(image)
    assert document == {
        "architecture": "amd64",
        "os": "linux",
        "created": image.created,
        "author": "who",
        "container": live.id,
        "config": {
            "User": "me",
            "Env": ["A=1", *live.record.config.env[1:], "B=1"],
            "Cmd": ["sleep", "60"],
            "Labels": {"of": "base", "x": "y"},
            "ExposedPorts": {"80/tcp": {}},
            "Volumes": {"/data": {}},
            "Healthcheck": {"Test": ["CMD", "x"], "Interval": 5_000_000},
        },
        "rootfs": {"type": "layers", "diff_ids": list(image.layers)},
        "history": [
            {"created": "2026-01-01T00:00:00Z", "created_by": "one"},
            {"created_by": "two"},
            {"created": image.created, "created_by": "sleep 60", "author": "who", "comment": "why"},
        ],
    }
    assert (image.author, image.comment) == ("who", "why")


async def test_configuration_of_the_request_goes_before_the_containers(commits: Commits) -> None:
    live = await commits.run(env=("A=1",), labels={"a": "b"})
    given = ImageConfig(entrypoint=("/init",), env=("B=2",), labels={"a": "c"}, on_build=("RUN x",))
    image = await commits.commit(live, config=given, changes=("ENV C=$A$B",))
    assert image.config.env[:3] == ("B=2", "C=2", "A=1")
    assert (image.config.entrypoint, image.config.cmd) == (("/init",), None)
    assert (image.config.labels, image.config.on_build) == ({"of": "base", "a": "c"}, ("RUN x",))
    image = await commits.commit(live, changes=('ENTRYPOINT ["/x"]',))
    assert (image.config.entrypoint, image.config.cmd) == (("/x",), None)


@pytest.mark.parametrize("packed", [None, bytes(1024)])
async def test_nothing_changed_is_no_layer_and_a_step_of_its_own(
    commits: Commits, packed: bytes | None
) -> None:
    """What has vanished before it could be packed is nothing either."""
    live = await commits.run()
    commits.disk(live).changed = [NEW] if packed else []
    commits.disk(live).tars["layer"] = [packed] if packed else []
    image = await commits.commit(live)
    assert commits.loads.files("made:1") == list(BASE.layers)
    assert image.layers == tuple(digest_of(one) for one in BASE.layers)
    history = (await commits.document(image))["history"]
    assert isinstance(history, list)
    assert history[-1] == {"created": image.created, "created_by": "sleep 60", "empty_layer": True}


async def test_container_that_was_never_touched_needs_no_task(commits: Commits) -> None:
    live = await commits.create()
    image = await commits.commit(live, changes=("CMD x",))
    assert image.config.cmd == ("/bin/sh", "-c", "x")
    assert commits.loads.files("made:1") == list(BASE.layers)
    assert commits.world.ecs.requests == []
    assert live.record.state is State.CREATED


async def test_what_was_copied_into_a_created_container_is_in_its_image(commits: Commits) -> None:
    live = await commits.create()
    await commits.world.containers.write_archive(live.id, "/etc", FakeArchive(None, [b"a tar"]))
    commits.disk(live).changed, commits.disk(live).tars["layer"] = [NEW], [PACKED]
    await commits.commit(live)
    assert commits.loads.files("made:1") == [*BASE.layers, PACKED]
    assert len(commits.world.ecs.requests) == 1
    assert commits.disk(live).paused == [False]


async def test_container_that_has_ended_is_committed_while_its_files_last(commits: Commits) -> None:
    live = await commits.run()
    commits.world.agent.exit(0)
    await commits.world.until(live, State.EXITED)
    await commits.commit(live)
    assert commits.loads.files("made:1") == [*BASE.layers, PACKED]
    commits.world.agent.end()
    await commits.world.idle()
    with pytest.raises(Conflict, match=r"the file system of container .* is gone"):
        await commits.commit(live, tag="2")


async def test_running_container_stands_still_while_it_is_read_and_then_goes_on(commits: Commits) -> None:
    live = await commits.run()
    await commits.commit(live)
    assert commits.disk(live).paused == [True]
    assert commits.told() == ["pause", "unpause", "commit"]
    assert (live.record.state, commits.world.agent.paused) == (State.RUNNING, False)
    await commits.commit(live, tag="2", pause=False)
    assert commits.disk(live).paused == [True, False]
    assert commits.told() == ["pause", "unpause", "commit", "commit"]


async def test_container_that_was_paused_stays_so(commits: Commits) -> None:
    live = await commits.run()
    await commits.world.containers.pause(live.id)
    await commits.commit(live)
    assert commits.disk(live).paused == [True]
    assert commits.told() == ["pause", "commit"]
    assert (live.record.state, commits.world.agent.paused) == (State.PAUSED, True)


async def test_process_that_ends_while_it_is_read_is_no_failure(commits: Commits) -> None:
    live = await commits.run()

    async def end() -> None:
        commits.world.agent.exit(3)
        await commits.world.until(live, State.EXITED)

    commits.disk(live).while_packing = Meanwhile(end)
    await commits.commit(live)
    assert commits.loads.files("made:1") == [*BASE.layers, PACKED]
    assert commits.told() == ["pause", "die", "commit"]
    assert live.record.exit_code == 3


async def test_events_are_dockers(commits: Commits) -> None:
    live = await commits.run()
    image = await commits.commit(live, comment="why", pause=False)
    event = commits.world.told()[-1]
    assert (event.action, event.actor_id) == ("commit", live.id)
    more = {"comment": "why", "imageID": image.id, "imageRef": "made:1", "image": "base:1", "of": "base"}
    assert event.attributes == {**more, "name": live.record.name}
    tagged = commits.world.told("image")[-1]
    assert (tagged.action, tagged.actor_id, tagged.attributes["name"]) == ("tag", image.id, "made:1")


async def test_commit_without_a_name_is_known_by_its_id(commits: Commits) -> None:
    live = await commits.run()
    image = await commits.commit(live, repository="", tag="ignored")
    assert image.nameless
    assert commits.world.told()[-1].attributes["imageRef"] == ""
    assert [event.action for event in commits.world.told("image")] == ["load"]


async def test_container_of_the_new_image_is_made_and_committed_again(commits: Commits) -> None:
    await commits.commit(await commits.run())
    live = await commits.create("made:1")
    assert live.record.image_pull == source_of(commits.loads.images.find("made:1")).full
    await commits.world.containers.start(live.id)
    commits.disk(live).changed, commits.disk(live).tars["layer"] = [NEW], [BASE.layers[0]]
    await commits.commit(live, tag="2")
    assert commits.loads.files("made:2") == [*BASE.layers, PACKED, BASE.layers[0]]


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"repository": "BAD"}, "must be lowercase"),
        ({"repository": "x@sha256:" + "1" * 64}, "cannot import digest reference"),
        ({"tag": "b d"}, "invalid tag format"),
        ({"changes": ("RUN x",)}, "RUN is not a valid change command"),
        ({"changes": ("ENV",)}, "ENV requires at least one argument"),
    ],
)
async def test_what_is_wrong_with_a_request_is_told_before_anything_is_done(
    commits: Commits, wanted: dict[str, object], words: str
) -> None:
    live = await commits.run()
    with pytest.raises(InvalidParameter, match=words):
        await commits.commit(live, **wanted)
    assert commits.told() == []
    assert commits.nothing_made()


async def test_containers_that_cannot_be_committed_say_why(commits: Commits) -> None:
    host = await commits.run(labels={"sockerless.sandbox.host": "true"})
    with pytest.raises(Unimplemented, match=r"^container commit: the image host stands for"):
        await commits.commit(host)
    plain = await commits.create(labels={"sockerless.agent": "off"})
    with pytest.raises(Unimplemented, match=r"sockerless\.agent=off"):
        await commits.world.containers.commit(plain.id, CommitRequest())
    leaving = await commits.create()
    leaving.leaving = True
    with pytest.raises(Conflict, match="which is being removed"):
        await commits.commit(leaving)
    dead = await commits.run()
    dead.become(Event.LOST)
    with pytest.raises(Conflict, match="which is Dead"):
        await commits.commit(dead)
    with pytest.raises(NotFound, match="No such container: nobody"):
        await commits.world.containers.commit("nobody", CommitRequest())
    orphan = await commits.create()
    commits.world.ledger.images.pop(commits.loads.images.find("base:1").ref)
    with pytest.raises(NotFound, match=f"No such image: {BASE.id}"):
        await commits.commit(orphan)


async def test_image_of_too_many_layers_is_refused_as_docker_does(commits: Commits) -> None:
    small = layer({"a": b"a"})
    deep = parts([small] * 125)
    await commits.loads.load(tarred(archive(deep, "deep:1")))
    live = await commits.create("deep:1")
    with pytest.raises(InvalidParameter, match="max depth exceeded"):
        await commits.commit(live)


async def test_what_is_in_a_volume_is_no_change_of_the_image(commits: Commits) -> None:
    live = await commits.run(volumes=("/data", "/srv/data/"))
    commits.disk(live).changed = [
        ChangedPath("/data", directory=True, entries=("x",)),
        ChangedPath("/data/x", directory=False, entries=()),
        ChangedPath("/srv", directory=True, entries=("data", "moved")),
        ChangedPath("/srv/data/deep", directory=True, entries=("y",)),
        NEW,
    ]
    await commits.commit(live)
    assert commits.disk(live).packed == [["/etc", "/etc/new", "/srv", "/srv/data", "/srv/moved/"]]
    assert {change.path for change in await commits.world.containers.changes(live.id)} == {
        "/etc", "/etc/new", "/srv", "/srv/data", "/srv/moved",
    }  # fmt: skip


@pytest.mark.parametrize("call", ["pause", "changes", "pack"])
async def test_agent_that_fails_makes_no_image_and_the_container_goes_on(commits: Commits, call: str) -> None:
    live = await commits.run()
    commits.world.agent.faults[call] += [Unavailable("no")]
    with pytest.raises(Unavailable, match="no"):
        await commits.commit(live)
    assert commits.goes_on(live)


async def test_layer_that_is_cut_short_makes_no_image(commits: Commits) -> None:
    live = await commits.run()
    commits.disk(live).tars["layer"] = [PACKED[:1000], AgentLost("cut")]
    with pytest.raises(AgentLost):
        await commits.commit(live)
    assert commits.goes_on(live)


async def test_ecr_that_goes_away_in_the_middle_is_not_the_client_s_fault(commits: Commits) -> None:
    live = await commits.run()

    async def end() -> None:
        commits.loads.registry.close()
        await trio.lowlevel.checkpoint()

    commits.disk(live).while_packing = Meanwhile(end)
    with pytest.raises(Unavailable):
        await commits.commit(live)
    assert commits.goes_on(live)


async def test_store_that_refuses_keeps_no_image_in_memory_either(commits: Commits) -> None:
    live = await commits.run()
    commits.world.store.refuse = lambda changes: any(
        isinstance(change, Put) and isinstance(change.record, Image) for change in changes
    )
    with pytest.raises(StoreUnusable):
        await commits.commit(live)
    assert commits.goes_on(live)


async def test_agent_that_does_not_let_it_go_on_is_no_failure_of_the_commit(commits: Commits) -> None:
    """The image is whole, and the container is shown as it is: paused, for somebody to try again."""
    live = await commits.run()
    commits.world.agent.faults["unpause"] += [Unavailable("no")]
    await commits.commit(live)
    assert (live.record.state, commits.world.agent.paused) == (State.PAUSED, True)
    await commits.world.containers.unpause(live.id)
    assert commits.world.agent.paused is False


async def test_commit_that_is_cancelled_at_any_step_leaves_the_container_running(commits: Commits) -> None:
    """And makes no image, or a whole one."""
    live = await commits.run()
    step, made = 0, False
    while not made:
        step += 1
        with trio.CancelScope() as scope, CancelAt(scope, step):
            await commits.commit(live)
        made = not commits.nothing_made()
        assert made or commits.goes_on(live), step
    assert step > 20
    assert commits.loads.files("made:1") == [*BASE.layers, PACKED]


async def test_layers_of_another_registry_are_copied_as_they_are(
    commits: Commits, elsewhere: tuple[Registry, str]
) -> None:
    packed = gzip.compress(BASE.layers[1])
    image = parts(
        [BASE.layers[0], packed, BASE.layers[0]], [digest_of(one) for one in (*BASE.layers, BASE.layers[0])]
    )
    name = f"{elsewhere[1]}/team/base:1"
    await _push(commits.loads.client, name, image.config, image.layers)
    async with commits.loads.images.pull(name, None) as progress:
        _ = [line async for line in progress]
    live = await commits.create(name)
    await commits.commit(live)
    assert commits.loads.files("made:1") == list(image.layers)
    _, manifest = await commits.loads.client.raw_manifest(source_of(commits.loads.images.find("made:1")))
    assert [one.media_type for one in manifest.layers] == [OCI_LAYER_GZIP] * 3


async def test_layers_of_another_repository_of_ecr_are_taken_over_without_being_read(
    commits: Commits, ecr: tuple[Registry, str]
) -> None:
    name = f"{ecr[1]}/team/base:1"
    image = parts([os.urandom(3000)])
    async with CountingClient({}, (), any_login, retries=QUICK) as client:
        client.opened = []
        await _push(client, name, image.config, image.layers)
        async with commits.loads.images.pull(name, None) as progress:
            _ = [line async for line in progress]
        commits.committer = commits.world.committer(client, commits.loads.ecr)
        await commits.commit(await commits.create(name))
        assert client.opened == []
    assert commits.loads.files("made:1") == list(image.layers)


async def test_image_whose_layer_only_its_maker_may_have_is_refused(
    commits: Commits, elsewhere: tuple[Registry, str]
) -> None:
    name = f"{elsewhere[1]}/team/base:1"
    kind = DOCKER_LAYER.replace("diff", "foreign.diff")
    await _push(commits.loads.client, name, BASE.config, BASE.layers, kind)
    async with commits.loads.images.pull(name, None) as progress:
        _ = [line async for line in progress]
    with pytest.raises(Unimplemented, match="only its maker's registry may have"):
        await commits.commit(await commits.create(name))


async def test_source_that_is_gone_is_told_before_the_container_is_touched(
    commits: Commits, elsewhere: tuple[Registry, str]
) -> None:
    name = f"{elsewhere[1]}/team/base:1"
    await _push(commits.loads.client, name, BASE.config, BASE.layers)
    async with commits.loads.images.pull(name, None) as progress:
        _ = [line async for line in progress]
    elsewhere[0].close()
    live = await commits.create(name)
    await commits.world.containers.start(live.id)
    with pytest.raises(Unavailable):
        await commits.commit(live)
    assert commits.told() == []


async def test_memory_does_not_grow_with_the_layer(commits: Commits) -> None:
    live = await commits.run()
    head = tarfile.TarInfo("big")
    head.size = 48 << 20
    zeros = bytes(1 << 18)
    commits.disk(live).tars["layer"] = [head.tobuf(tarfile.GNU_FORMAT), *[zeros] * (48 << 2), bytes(1024)]
    tracemalloc.start()
    try:
        image = await commits.commit(live)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert image.size_bytes > 48 << 20
    assert peak < 24 << 20


async def _push(
    client: RegistryClient, name: str, config: bytes, layers: Sequence[bytes], kind: str = DOCKER_LAYER
) -> None:
    """As Docker does, its own media types and all."""
    reference = parse(name)
    target = client.repository(reference, ANY_LOGIN)
    for blob in {config, *layers}:
        await target.push_blob(digest_of(blob), blob)
    manifest = {
        "schemaVersion": 2,
        "mediaType": DOCKER_MANIFEST,
        "config": {"mediaType": DOCKER_CONFIG, "digest": digest_of(config), "size": len(config)},
        "layers": [{"mediaType": kind, "digest": digest_of(one), "size": len(one)} for one in layers],
    }
    await target.push_manifest(reference.wanted, DOCKER_MANIFEST, as_json(manifest))


async def test_of_two_commits_the_last_one_lets_it_go_on(commits: Commits) -> None:
    live = await commits.run()
    reading, first_done = trio.Event(), trio.Event()

    async def second() -> None:
        await reading.wait()
        await commits.commit(live, tag="2")
        first_done.set()

    async def while_first_packs() -> None:
        commits.disk(live).while_packing = None
        reading.set()
        await first_done.wait()
        assert commits.world.agent.paused, "the other one is not done"

    commits.disk(live).while_packing = Meanwhile(while_first_packs)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(second)
        await commits.commit(live)
    assert commits.told() == ["pause", "commit", "unpause", "commit"]
    assert (live.record.state, live.record.held, commits.world.agent.paused) == (State.RUNNING, False, False)


@pytest.mark.parametrize("known", [True, False])
async def test_container_that_a_dead_daemon_held_goes_on_with_the_next(known: bool) -> None:
    """Also where it died after the agent had stopped the processes, and before it could write that down."""
    outside = Outside()
    async with daemon(outside) as world:
        live = await world.run()
        await outside.store.commit(Put(live.become(held=True)))
        await world.containers.pause(live.id)
        if not known:
            await outside.store.commit(Put(live.become(Event.UNPAUSE)))
    async with daemon(outside) as world:
        assert world.agent.paused
        world.reconciler.begin()
        await world.containers.release_held()
        record = (await outside.store.load()).containers[live.id]
        assert (record.state, record.held, world.agent.paused) == (State.RUNNING, False, False)
        with pytest.raises(SockerlessError, match="is not paused"):
            await world.containers.unpause(live.id)
