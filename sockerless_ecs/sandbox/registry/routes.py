"""OCI distribution and Docker Hub's search: what each request does to the storage, and the answer."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from sockerless_ecs.errors import SockerlessError
from sockerless_ecs.registry.digest import is_digest
from sockerless_ecs.registry.manifest import MANIFEST_TYPES, Manifest, read_manifest
from sockerless_ecs.sandbox.registry.body import Body
from sockerless_ecs.sandbox.registry.private import admits
from sockerless_ecs.sandbox.registry.search import search_results
from sockerless_ecs.sandbox.registry.storage import DigestMismatch, Storage, is_repository, is_tag

_MANIFEST_LIMIT = 4 << 20
_ROUTE = re.compile(
    r"/v2/(?P<repository>.+?)/(?:(?P<uploads>blobs/uploads/?(?P<upload>[^/]*))|(?P<tags>tags/list)"
    r"|manifests/(?P<manifest>[^/]+)|blobs/(?P<blob>[^/]+))"
)
_RANGE = re.compile(r"bytes=(?P<first>[0-9]*)-(?P<last>[0-9]*)")
_CONTENT_RANGE = re.compile(r"(?:bytes[ =])?(?P<first>[0-9]+)-(?P<last>[0-9]+)(?:/.*)?")
_CHALLENGE = {"WWW-Authenticate": 'Basic realm="sockerless sandbox"'}
_OCTETS = {"Content-Type": "application/octet-stream"}
_READS = ("GET", "HEAD")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request; its body is read by the route that wants it."""

    method: str
    target: str
    headers: Message
    body: Body

    @property
    def path(self) -> str:
        """The path, decoded."""
        return unquote(urlsplit(self.target).path)

    def query(self, name: str) -> str | None:
        """The first value of a query parameter."""
        values = parse_qs(urlsplit(self.target).query).get(name)
        return values[0] if values else None

    @property
    def authorization(self) -> str:
        """The Authorization header."""
        return self.headers.get("Authorization") or ""

    @property
    def logged_in(self) -> bool:
        """Any login will do where nothing is private: that there is one is checked, not whose it is."""
        return self.authorization.startswith("Basic ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """The answer; `file` (path, first byte, size) stands for a body that is on disk."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    file: tuple[Path, int, int] | None = None


def answer(storage: Storage, request: Request) -> Response:
    """What the registry says. Raises `BadBody` when the request breaks off."""
    if (page := _page(storage, request)) is not None:
        return page
    route = _ROUTE.fullmatch(request.path)
    if route is None:
        return _error(404, "NOT_FOUND", "no such page")
    repository = route["repository"]
    if not is_repository(repository):
        return _error(400, "NAME_INVALID", "invalid repository name")
    open_to_all = request.method in _READS or request.logged_in
    if not open_to_all or not admits(repository, request.authorization):
        return _error(401, "UNAUTHORIZED", "authentication required", _CHALLENGE)
    if route["uploads"]:
        return _upload(storage, request, repository, route["upload"])
    if route["tags"]:
        if not storage.has_repository(repository):
            return _name_unknown(repository)
        return _listing(request, "tags", storage.tags(repository), name=repository)
    if route["manifest"]:
        return _manifest(storage, request, repository, route["manifest"])
    return _blob(storage, request, repository, route["blob"])


def _page(storage: Storage, request: Request) -> Response | None:
    """What belongs to no repository."""
    match request.path:
        case "/v2" | "/v2/":
            return _json({}) if request.logged_in else _error(401, "UNAUTHORIZED", "log in", _CHALLENGE)
        case "/v2/_catalog" if request.method == "GET":
            return _listing(request, "repositories", storage.repositories())
        case "/v1/search" if request.method == "GET":
            term, count = request.query("q") or "", request.query("n") or ""
            host = request.headers.get("Host", "")
            return _json(search_results(storage.repositories(), term, count, host))
    return None


def _blob(storage: Storage, request: Request, repository: str, digest: str) -> Response:
    if request.method not in _READS:
        return _unsupported()
    if not storage.has_blob(repository, digest):
        return _error(404, "BLOB_UNKNOWN", "blob unknown to registry")
    path = storage.blob_path(digest)
    size = path.stat().st_size
    headers = {**_OCTETS, "Docker-Content-Digest": digest, "Accept-Ranges": "bytes"}
    wanted = _RANGE.fullmatch(request.headers.get("Range") or "")
    if not wanted or (not wanted["first"] and not wanted["last"]):
        return Response(status=200, headers=headers, file=(path, 0, size))
    if wanted["first"]:
        first = int(wanted["first"])
        last = min(int(wanted["last"] or size), size - 1)
    else:
        first, last = max(0, size - int(wanted["last"])), size - 1
    if first > last:
        return Response(status=416, headers={"Content-Range": f"bytes */{size}"})
    headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    return Response(status=206, headers=headers, file=(path, first, last - first + 1))


def _manifest(storage: Storage, request: Request, repository: str, wanted: str) -> Response:
    if request.method == "PUT":
        return _put_manifest(storage, request, repository, wanted)
    if request.method not in _READS:
        return _unsupported()
    stored = storage.manifest(repository, wanted)
    if stored is None:
        if not storage.has_repository(repository):
            return _name_unknown(repository)
        return _error(404, "MANIFEST_UNKNOWN", "manifest unknown")
    headers = {"Content-Type": stored.media_type, "Docker-Content-Digest": stored.digest}
    return Response(status=200, headers=headers, body=stored.data)


def _put_manifest(storage: Storage, request: Request, repository: str, wanted: str) -> Response:
    if not is_digest(wanted) and not is_tag(wanted):
        return _error(400, "TAG_INVALID", "neither a tag nor a digest")
    data = request.body.read(_MANIFEST_LIMIT)
    if data is None:
        return _error(413, "SIZE_INVALID", "a manifest may have 4 MiB")
    media_type = (request.headers.get("Content-Type") or "").partition(";")[0].strip()
    if media_type not in MANIFEST_TYPES:
        return _error(415, "MANIFEST_INVALID", f"no manifest has the media type {media_type!r}")
    try:
        found = read_manifest(data, media_type, repository)
    except SockerlessError as error:
        return _error(400, "MANIFEST_INVALID", str(error))
    if found.media_type != media_type:
        return _error(400, "MANIFEST_INVALID", f"it says of itself that it is {found.media_type}")
    if isinstance(found, Manifest):
        needed = [found.config.digest, *(layer.digest for layer in found.layers)]
        missing = [digest for digest in needed if not storage.has_blob(repository, digest)]
    else:
        digests = [entry.descriptor.digest for entry in found.entries]
        missing = [digest for digest in digests if storage.manifest(repository, digest) is None]
    if missing:
        return _error(400, "MANIFEST_BLOB_UNKNOWN", f"not in this repository: {', '.join(missing)}")
    try:
        digest = storage.put_manifest(repository, data, media_type, wanted)
    except DigestMismatch:
        return _digest_invalid()
    headers = {"Location": f"/v2/{repository}/manifests/{digest}", "Docker-Content-Digest": digest}
    return Response(status=201, headers=headers)


def _upload(storage: Storage, request: Request, repository: str, upload: str) -> Response:
    if not upload:
        return _start_upload(storage, request, repository) if request.method == "POST" else _unsupported()
    path = storage.upload_path(upload)
    if path is None:
        return _error(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry")
    match request.method:
        case "GET":
            return _progress(repository, upload, path, 204)
        case "PATCH":
            return _append(request, path) or _progress(repository, upload, path, 202)
        case "PUT":
            return _append(request, path) or _finish(storage, request, repository, path)
        case "DELETE":
            path.unlink(missing_ok=True)
            return Response(status=204)
    return _unsupported()


def _start_upload(storage: Storage, request: Request, repository: str) -> Response:
    mount, source = request.query("mount"), request.query("from")
    readable = source and is_repository(source) and admits(source, request.authorization)
    if mount and source and readable and storage.mount(repository, mount, source):
        return _created(repository, mount)
    upload = storage.start_upload()
    path = storage.upload_path(upload)
    assert path is not None
    if request.query("digest"):
        return _append(request, path) or _finish(storage, request, repository, path)
    return _progress(repository, upload, path, 202)


def _append(request: Request, path: Path) -> Response | None:
    """The body at the end of the upload; an answer only when that is not where it belongs."""
    claimed = _CONTENT_RANGE.fullmatch(request.headers.get("Content-Range") or "")
    with path.open("ab") as file:
        size = file.tell()
        if claimed and int(claimed["first"]) != size:
            return Response(status=416, headers={"Range": f"0-{max(0, size - 1)}"})
        for chunk in request.body.chunks():
            file.write(chunk)
    return None


def _finish(storage: Storage, request: Request, repository: str, path: Path) -> Response:
    digest = request.query("digest") or ""
    try:
        storage.finish_upload(repository, path, digest)
    except DigestMismatch:
        return _digest_invalid()
    return _created(repository, digest)


def _progress(repository: str, upload: str, path: Path, status: int) -> Response:
    headers = {
        "Location": f"/v2/{repository}/blobs/uploads/{upload}",
        "Docker-Upload-UUID": upload,
        "Range": f"0-{max(0, path.stat().st_size - 1)}",
    }
    return Response(status=status, headers=headers)


def _created(repository: str, digest: str) -> Response:
    headers = {"Location": f"/v2/{repository}/blobs/{digest}", "Docker-Content-Digest": digest}
    return Response(status=201, headers=headers)


def _listing(request: Request, key: str, entries: Sequence[str], **more: str) -> Response:
    last, count = request.query("last"), request.query("n")
    left = [entry for entry in entries if last is None or entry > last]
    page = left[: int(count)] if count and count.isdecimal() else left
    headers = {}
    if len(page) < len(left) and page:
        headers["Link"] = f'<{urlsplit(request.target).path}?n={count}&last={page[-1]}>; rel="next"'
    return _json({**more, key: page}, headers=headers)


def _unsupported() -> Response:
    return _error(405, "UNSUPPORTED", "the operation is unsupported")


def _name_unknown(repository: str) -> Response:
    return _error(
        404, "NAME_UNKNOWN", f"the repository {repository} does not exist in the sandbox's registry"
    )


def _digest_invalid() -> Response:
    return _error(400, "DIGEST_INVALID", "provided digest did not match uploaded content")


def _error(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> Response:
    return _json({"errors": [{"code": code, "message": message}]}, status=status, headers=headers)


def _json(
    document: Mapping[str, object], *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    kind = {"Content-Type": "application/json"}
    return Response(status=status, headers={**kind, **(headers or {})}, body=json.dumps(document).encode())
