"""Where the sandbox's registry keeps what was pushed: content-addressed files, safe for many at once."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sockerless_ecs.registry.digest import digest_of, is_digest, matches

_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_REPOSITORY = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")
_LONGEST_REPOSITORY = 255
_UPLOAD = re.compile(r"[0-9a-f]{32}")
_CHUNK = 1 << 18


class DigestMismatch(Exception):
    """What was sent is not what it was announced to be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredManifest:
    """A manifest as it was pushed, byte for byte."""

    digest: str
    media_type: str
    data: bytes


class Storage:
    """Blobs once for all repositories; each repository knows its blobs, manifests and tags.

    Every change is one rename, so that readers, threads and other processes see all of it or nothing.
    """

    def __init__(self, folder: Path) -> None:
        self._blobs = folder / "blobs"
        self._uploads = folder / "uploads"
        self._repositories = folder / "repositories"
        for each in (self._blobs, self._uploads, self._repositories):
            each.mkdir(parents=True, exist_ok=True)

    def blob_path(self, digest: str) -> Path:
        """Where a blob's content is, or would be."""
        algorithm, _, digits = digest.partition(":")
        return self._blobs / algorithm / digits[:2] / digits

    def has_blob(self, repository: str, digest: str) -> bool:
        """Whether the repository has it."""
        return is_digest(digest) and self._link(repository, "_blobs", digest).exists()

    def put_blob(self, repository: str, data: bytes) -> str:
        """Store a blob that is at hand; its digest."""
        digest = digest_of(data)
        self._store(digest, data)
        self._write(self._link(repository, "_blobs", digest), b"")
        return digest

    def mount(self, repository: str, digest: str, source: str) -> bool:
        """Give a repository a blob of another one; False if that has none."""
        if not self.has_blob(source, digest):
            return False
        self._write(self._link(repository, "_blobs", digest), b"")
        return True

    def start_upload(self) -> str:
        """The id of a new, empty upload."""
        upload = secrets.token_hex(16)
        self._uploads.joinpath(upload).touch(exist_ok=False)
        return upload

    def upload_path(self, upload: str) -> Path | None:
        """The file that an upload grows in; None for one that is not there."""
        path = self._uploads / upload
        return path if _UPLOAD.fullmatch(upload) and path.exists() else None

    def finish_upload(self, repository: str, path: Path, digest: str) -> None:
        """Make an upload a blob; raises `DigestMismatch`, and the upload is gone either way."""
        try:
            if not is_digest(digest) or _digest_of_file(path, digest.partition(":")[0]) != digest:
                raise DigestMismatch(digest)
            target = self.blob_path(digest)
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)
        finally:
            path.unlink(missing_ok=True)
        self._write(self._link(repository, "_blobs", digest), b"")

    def put_manifest(self, repository: str, data: bytes, media_type: str, name: str | None = None) -> str:
        """Store a manifest, perhaps under a tag; its digest. `DigestMismatch` when it is named by another."""
        digest = digest_of(data)
        if name is not None and is_digest(name):
            if not matches(name, data):
                raise DigestMismatch(name)
            digest, name = name, None
        self._store(digest, data)
        self._write(self._link(repository, "_manifests", digest), media_type.encode())
        if name is not None:
            self._write(self._tag_path(repository, name), digest.encode())
        return digest

    def manifest(self, repository: str, wanted: str) -> StoredManifest | None:
        """The manifest of a tag or digest."""
        try:
            digest = wanted
            if not is_digest(wanted):
                if not _TAG.fullmatch(wanted):
                    return None
                digest = self._tag_path(repository, wanted).read_text()
            media_type = self._link(repository, "_manifests", digest).read_text()
            return StoredManifest(
                digest=digest, media_type=media_type, data=self.blob_path(digest).read_bytes()
            )
        except (FileNotFoundError, NotADirectoryError):
            return None

    def has_repository(self, repository: str) -> bool:
        """Whether anything was pushed there."""
        folder = self._repositories / repository
        return any((folder / part).is_dir() for part in ("_manifests", "_blobs"))

    def tags(self, repository: str) -> Sequence[str]:
        """The repository's tags in order."""
        folder = self._repositories / repository / "_tags"
        return sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []

    def repositories(self) -> Sequence[str]:
        """Every repository that has a manifest, in order."""
        return sorted(self._found())

    def _found(self) -> Iterator[str]:
        for folder, names, _ in os.walk(self._repositories):
            if "_manifests" in names:
                yield Path(folder).relative_to(self._repositories).as_posix()
            names[:] = [name for name in names if not name.startswith("_")]

    def _link(self, repository: str, kind: str, digest: str) -> Path:
        return self._repositories / repository / kind / digest.replace(":", "-")

    def _tag_path(self, repository: str, tag: str) -> Path:
        return self._repositories / repository / "_tags" / tag

    def _store(self, digest: str, data: bytes) -> None:
        path = self.blob_path(digest)
        if not path.exists():
            self._write(path, data)

    def _write(self, path: Path, data: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = self._uploads / f"{secrets.token_hex(16)}.new"
        try:
            partial.write_bytes(data)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


def is_repository(name: str) -> bool:
    """Whether it is a repository's name: nothing else ever becomes a path."""
    return len(name) <= _LONGEST_REPOSITORY and _REPOSITORY.fullmatch(name) is not None


def is_tag(text: str) -> bool:
    """Whether it is a tag."""
    return _TAG.fullmatch(text) is not None


def _digest_of_file(path: Path, algorithm: str) -> str:
    digest = hashlib.new(algorithm)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return f"{algorithm}:{digest.hexdigest()}"
