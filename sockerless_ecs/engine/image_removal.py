"""Docker's rules of removing an image: what a name takes with it, and what a container holds back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sockerless_ecs.engine.image_names import left_alone
from sockerless_ecs.engine.values import ImageRemoved
from sockerless_ecs.errors import Conflict
from sockerless_ecs.model import reference as references
from sockerless_ecs.model.container import Container
from sockerless_ecs.model.image import Image, ImageRef
from sockerless_ecs.model.lifecycle import State

_SHORT = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """What is to be done."""

    steps: Sequence[ImageRemoved]
    events: Sequence[str]
    """The actions to tell of, in order."""
    put: Sequence[Image] = ()
    drop: Sequence[ImageRef] = ()


@dataclass(frozen=True, slots=True)
class _Name:
    """One of an image's names, by tag or by digest, and where it points."""

    text: str
    repository: str
    by_digest: bool


def removal(
    wanted: str, image: Image, records: Sequence[Image], users: Sequence[Container], *, force: bool
) -> Removal:
    """What `docker rmi` of `wanted` means; raises Conflict in Docker's words."""
    names = _names(records)
    if not _is_id(wanted, image):
        return _untagging(wanted, image, records, users, force=force)
    if not force and not _all_one(names):
        _refuse_running(image, users)
        raise _refusal(image, "image is referenced in multiple repositories", forceable=True)
    _refuse_running(image, users)
    if users and not force:
        raise _refusal(
            image, f"image is being used by stopped container {users[0].id[:_SHORT]}", forceable=True
        )
    return _deletion(image, records, names)


def _untagging(
    wanted: str, image: Image, records: Sequence[Image], users: Sequence[Container], *, force: bool
) -> Removal:
    if users and not force and _all_one(_names(records)):
        raise Conflict(
            f'conflict: unable to remove repository reference "{wanted}" (must force) - container '
            f"{users[0].id[:_SHORT]} is using its referenced image {image.id[7 : 7 + _SHORT]}"
        )
    reference = references.from_pull(wanted)
    before = _names(records)
    left = _without_digest(records, reference) if reference.digest else _without_tag(records, reference)
    kept = _names(left)
    first = references.familiar(replace(reference, tag=None) if reference.digest else reference)
    gone = [name.text for name in before if name not in kept and name.text != first]
    steps = [ImageRemoved(untagged=text) for text in (first, *gone)]
    drop = [record.ref for record in records if record.ref not in {one.ref for one in left}]
    if kept:
        return Removal(steps=steps, events=["untag"], put=left, drop=drop)
    if _running(users) is not None:
        alone = left_alone(replace(records[0], digest=""))
        return Removal(steps=steps, events=["untag"], put=[alone], drop=[record.ref for record in records])
    return Removal(
        steps=[*steps, ImageRemoved(deleted=image.id)],
        events=["untag", "delete"],
        drop=[record.ref for record in records],
    )


def _without_tag(records: Sequence[Image], reference: references.Reference) -> list[Image]:
    """The records without a tag; with a repository's last tag go its digests."""
    left = [record for record in records if record.ref != reference.full]
    others = [record for record in left if _reference(record).name == reference.name]
    if any(_reference(record).digest is None for record in others):
        return left
    return [record for record in left if record not in others]


def _without_digest(records: Sequence[Image], reference: references.Reference) -> list[Image]:
    left = []
    for record in records:
        mine = _reference(record)
        if mine.name != reference.name:
            left.append(record)
        elif mine.digest is None:
            left.append(replace(record, digest="", repository=record.repository or mine.name))
    return left


def _deletion(image: Image, records: Sequence[Image], names: Sequence[_Name]) -> Removal:
    return Removal(
        steps=[*(ImageRemoved(untagged=name.text) for name in names), ImageRemoved(deleted=image.id)],
        events=[*("untag" for _ in names), "delete"],
        drop=[record.ref for record in records],
    )


def _names(records: Sequence[Image]) -> list[_Name]:
    """Tags first, each name once."""
    tags, digests = {}, {}
    for record in records:
        if record.nameless:
            continue
        reference = _reference(record)
        if reference.digest is None:
            tags[record.ref] = _Name(references.familiar(reference), reference.name, by_digest=False)
        if record.digest:
            text = f"{references.familiar_name(reference)}@{record.digest}"
            digests[text] = _Name(text, reference.name, by_digest=True)
    return [*tags.values(), *digests.values()]


def _all_one(names: Sequence[_Name]) -> bool:
    """Whether there is at most one tag, and nothing in another repository."""
    tags = [name for name in names if not name.by_digest]
    return len(tags) <= 1 and len({name.repository for name in names}) <= 1


def _reference(record: Image) -> references.Reference:
    return references.parse(record.ref)


def _is_id(wanted: str, image: Image) -> bool:
    return image.id.startswith(wanted) or image.id.removeprefix("sha256:").startswith(wanted)


def _running(users: Sequence[Container]) -> Container | None:
    return next((user for user in users if user.active or user.state is State.STARTING), None)


def _refuse_running(image: Image, users: Sequence[Container]) -> None:
    if (user := _running(users)) is not None:
        raise _refusal(image, f"image is being used by running container {user.id[:_SHORT]}", forceable=False)


def _refusal(image: Image, why: str, *, forceable: bool) -> Conflict:
    how = "must be forced" if forceable else "cannot be forced"
    return Conflict(f"conflict: unable to delete {image.id[7 : 7 + _SHORT]} ({how}) - {why}")
