"""A container becomes an image of its image's layers and one of its own."""

from __future__ import annotations

import io
import tarfile

import pytest

from sockerless_ecs.agent.files import ChangedPath
from sockerless_ecs.engine.values import CommitRequest
from sockerless_ecs.errors import (
    Conflict,
    InvalidParameter,
    NotFound,
    Unimplemented,
)
from sockerless_ecs.model.container import Healthcheck
from sockerless_ecs.model.image import ImageConfig
from sockerless_ecs.model.lifecycle import Event, State
from sockerless_ecs.model.reference import source_of
from sockerless_ecs.registry.digest import digest_of
from tests.engine.bundles import archive, layer, parts, tarred
from tests.engine.commits import BASE, NEW, PACKED, Commits
from tests.services.fake_files import FakeArchive


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


async def test_parents_of_an_image_are_known_as_far_as_they_are_here(commits: Commits) -> None:
    images = commits.loads.images
    base = images.find("base:1")
    first = await commits.commit(await commits.create())
    second = await commits.commit(await commits.create("made:1"), tag="2")
    assert (base.parent, first.parent, second.parent) == ("", base.id, first.id)
    told = await images.history("made:2")
    shown = [(step.id, tuple(step.tags)) for step in told]
    assert shown[:3] == [(second.id, ("made:2",)), (first.id, ("made:1",)), (base.id, ("base:1",))]
    assert {step.id for step in told[3:]} == {"<missing>"}
    await images.remove("made:1", force=True)
    assert [step.id for step in await images.history("made:2")][1:] == ["<missing>"] * (len(told) - 1)


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
