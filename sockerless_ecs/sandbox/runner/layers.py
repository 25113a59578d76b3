"""Image layers → content-addressed folders that overlayfs can stack."""

# ruff: noqa: PTH101, PTH103, PTH108, PTH118, PTH120, PTH123, PTH211

from __future__ import annotations

import bz2  # noqa: F401 - see below
import gzip  # noqa: F401
import json
import lzma  # noqa: F401
import os
import shutil
import stat
import tarfile
import zlib  # noqa: F401 - tarfile imports these when it needs them, which is too late in a chroot
from pathlib import Path
from typing import Final

WHITEOUT: Final = ".wh."
OPAQUE: Final = ".wh..wh..opq"
_PRIVATE = ("trusted.overlay.", "user.overlay.")
#: How a layer says what it hides: as overlayfs does it (privileged or not), or as archives do.
TRUSTED: Final = "trusted.overlay."
USER: Final = "user.overlay."
MARKERS: Final = ""


def name_of(digest: str) -> str:
    """A layer's folder: short, as mount options are limited to a page."""
    return digest.removeprefix("sha256:")[:16]


def extract(archive: int, folder: Path, xattr_prefix: str, answer: int, *, chroot: bool) -> None:
    """Body of a forked process: unpack the archive into the empty `folder`, which becomes its root, and end.

    No name, symlink or hard link in the archive can leave a root. Where chroot is not allowed only archives
    without links out of the folder are unpacked. What goes wrong is written to `answer`.
    """
    code = 1
    try:
        with os.fdopen(archive, "rb") as file, tarfile.open(fileobj=file, mode="r:*") as tar:
            if chroot:
                os.chroot(folder)
                os.chdir("/")
            os.umask(
                0o022
            )  # a parent that the archive leaves out shows through the merge: 755, as Docker has it
            _Unpacking(tar, xattr_prefix, "" if chroot else os.path.realpath(folder)).run()
        code = 0
    except BaseException as error:  # noqa: BLE001 - the only way out of a forked child
        os.write(answer, json.dumps(f"{type(error).__name__}: {error}").encode())
    finally:
        os._exit(code)


class _Unpacking:
    def __init__(self, tar: tarfile.TarFile, xattr_prefix: str, base: str) -> None:
        self._tar, self._prefix, self._base = tar, xattr_prefix, base
        self._hidden: list[str] = []
        self._folders: list[tuple[str, float]] = []

    def run(self) -> None:
        for member in self._tar:
            path = self._path(member.name)
            parent, leaf = os.path.split(path)
            os.makedirs(self._inside(parent), exist_ok=True)  # maybe a symlink to what only a lower layer has
            if leaf.startswith(WHITEOUT) and self._prefix == MARKERS:
                os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_NOFOLLOW, 0o600))
            elif leaf == OPAQUE:
                os.setxattr(parent, self._prefix + "opaque", b"y")
            elif leaf.startswith(WHITEOUT):
                self._hidden.append(os.path.join(parent, leaf.removeprefix(WHITEOUT)))
            else:
                self._place(member, path)
        for path in self._hidden:  # a whiteout speaks of the layers below, wherever it stands in the archive
            if not os.path.lexists(path):
                os.mknod(path, stat.S_IFCHR, 0)
            elif stat.S_ISDIR(os.lstat(path).st_mode):
                os.setxattr(path, self._prefix + "opaque", b"y")
        for path, modified in self._folders:
            os.utime(path, (modified, modified))

    def _path(self, name: str) -> str:
        return (self._base + os.path.normpath("/" + name.lstrip("/"))).rstrip("/") or "/"

    def _inside(self, path: str) -> str:
        found = os.path.realpath(path)
        if self._base and not (found + "/").startswith(self._base + "/"):
            raise PermissionError(1, "leads out of the layer, and there is no chroot here", path)
        return found

    def _place(self, member: tarfile.TarInfo, path: str) -> None:
        if os.path.lexists(path) and not (member.isdir() and stat.S_ISDIR(os.lstat(path).st_mode)):
            remove(path)
        if member.islnk():
            target = self._path(member.linkname)
            self._inside(os.path.dirname(target))
            os.link(target, path, follow_symlinks=False)
            return
        if not self._make(member, path):
            return
        try:
            os.chown(path, member.uid, member.gid, follow_symlinks=False)
        except OSError:
            if self._prefix == TRUSTED:
                raise  # in a user namespace with one id everything belongs to that id
        if member.issym():
            return
        os.chmod(path, member.mode & 0o7777)  # after chown, which clears setuid
        self._set_attributes(member, path)  # after chown, which clears security.capability
        os.utime(path, (member.mtime, member.mtime))
        if member.isdir():
            self._folders.append((path, member.mtime))

    def _make(self, member: tarfile.TarInfo, path: str) -> bool:
        if member.isdir():
            os.makedirs(path, exist_ok=True)
        elif member.issym():
            os.symlink(member.linkname, path)
        elif member.isreg():
            content = self._tar.extractfile(member)
            assert content is not None
            with open(path, "wb") as target:
                shutil.copyfileobj(content, target, 1 << 18)
        else:
            kind = stat.S_IFIFO if member.isfifo() else stat.S_IFCHR if member.ischr() else stat.S_IFBLK
            try:
                os.mknod(path, kind | 0o600, os.makedev(member.devmajor, member.devminor))
            except PermissionError:
                return False  # devices cannot be made in a user namespace; /dev is ours anyway
        return True

    def _set_attributes(self, member: tarfile.TarInfo, path: str) -> None:
        for key, value in member.pax_headers.items():
            name = key.removeprefix("SCHILY.xattr.")
            if name == key or name.startswith(_PRIVATE):
                continue
            try:
                os.setxattr(path, name, value.encode("utf-8", "surrogateescape"))
            except OSError:
                if name.startswith("user."):
                    raise


def remove(path: str) -> None:
    """Delete whatever is there, without following a symlink."""
    if stat.S_ISDIR(os.lstat(path).st_mode):
        shutil.rmtree(path)
    else:
        os.unlink(path)
