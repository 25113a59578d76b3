"""The sandbox's registry speaks the OCI distribution API and finds what ECS asks for."""

from __future__ import annotations

import http.client
import io
import json
import socket
import tarfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from sockerless_ecs.registry import Login
from sockerless_ecs.registry.digest import digest_of
from sockerless_ecs.registry.manifest import DOCKER_CONFIG, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from sockerless_ecs.sandbox.registry import ImageNotFound, Registry
from sockerless_ecs.sandbox.registry.private import LOGIN as LOGIN_OF_PRIVATE
from sockerless_ecs.sandbox.registry.storage import Storage
from tests.images import BuiltImage, File, image

LOGIN = {"Authorization": "Basic QVdTOnRva2Vu"}
DATA = bytes(range(256)) * 4
EMPTY_INDEX = b'{"schemaVersion":2,"manifests":[]}'


class Client:
    """One kept-alive connection."""

    def __init__(self, port: int) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)

    def ask(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[int, Mapping[str, str], bytes]:
        sent = {**LOGIN, **{name.replace("_", "-"): value for name, value in headers.items()}}
        self.connection.request(method, path, body, {name: value for name, value in sent.items() if value})
        response = self.connection.getresponse()
        return response.status, dict(response.headers), response.read()

    def code(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, str]:
        status, _, answer = self.ask(method, path, body, **headers)
        return status, json.loads(answer)["errors"][0]["code"]

    def upload(self, repository: str, data: bytes, **headers: str) -> str:
        digest = digest_of(data)
        path = f"/v2/{repository}/blobs/uploads/?digest={digest}"
        assert self.ask("POST", path, data, **headers)[0] == 201
        return digest


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    registry = Registry(tmp_path)
    yield registry
    registry.close()


@pytest.fixture
def client(registry: Registry) -> Iterator[Client]:
    client = Client(registry.serve())
    yield client
    client.connection.close()


def store(client: Client, repository: str, built: BuiltImage, tag: str = "latest", **headers: str) -> None:
    for blob in built.blobs.values():
        client.upload(repository, blob, **headers)
    manifests = f"/v2/{repository}/manifests"
    for digest, manifest in built.manifests.items():
        told = {"Content_Type": OCI_MANIFEST, **headers}
        assert client.ask("PUT", f"{manifests}/{digest}", manifest, **told)[0] == 201
    told = {"Content_Type": OCI_INDEX, **headers}
    assert client.ask("PUT", f"{manifests}/{tag}", built.index, **told)[0] == 201


def test_blob_in_chunks_is_stored_whole(client: Client) -> None:
    status, headers, _ = client.ask("POST", "/v2/a/b/blobs/uploads/")
    assert status == 202
    location = headers["Location"]
    assert client.ask("PATCH", location, DATA[:10], Content_Range="0-9")[0] == 202
    status, headers, _ = client.ask("PATCH", location, iter([DATA[10:500], DATA[500:1000]]))  # chunked
    assert (status, headers["Range"]) == (202, "0-999")
    assert client.ask("PATCH", location, b"again", Content_Range="0-4")[0] == 416
    assert client.ask("GET", location)[1]["Range"] == "0-999"
    status, headers, _ = client.ask("PUT", f"{location}?digest={digest_of(DATA)}", DATA[1000:])
    assert status == 201
    status, headers, body = client.ask("GET", headers["Location"])
    assert (status, body) == (200, DATA)
    assert headers["Docker-Content-Digest"] == digest_of(DATA)
    assert client.code("GET", location) == (404, "BLOB_UPLOAD_UNKNOWN")


@pytest.mark.parametrize(
    ("asked", "status", "expected"),
    [
        ("bytes=0-9", 206, DATA[:10]),
        ("bytes=1000-", 206, DATA[1000:]),
        ("bytes=-5", 206, DATA[-5:]),
        ("bytes=1020-9999", 206, DATA[1020:]),
        ("bytes=5000-", 416, b""),
        ("bytes=-", 200, DATA),
        ("lines=1-2", 200, DATA),
    ],
)
def test_ranges_of_a_blob(client: Client, asked: str, status: int, expected: bytes) -> None:
    digest = client.upload("a", DATA)
    found, _, body = client.ask("GET", f"/v2/a/blobs/{digest}", Range=asked)
    assert (found, body) == (status, expected)


def test_head_tells_the_size_and_sends_nothing(client: Client) -> None:
    digest = client.upload("a", DATA)
    status, headers, body = client.ask("HEAD", f"/v2/a/blobs/{digest}")
    assert (status, headers["Content-Length"], body) == (200, str(len(DATA)), b"")
    assert client.ask("HEAD", f"/v2/a/blobs/{digest_of(b'no')}")[0] == 404


def test_wrong_digest_is_refused_and_leaves_nothing(client: Client, tmp_path: Path) -> None:
    assert client.code("POST", f"/v2/a/blobs/uploads/?digest={digest_of(b'x')}", b"y") == (
        400,
        "DIGEST_INVALID",
    )
    assert client.code("POST", "/v2/a/blobs/uploads/?digest=sha256:../../x", b"y") == (400, "DIGEST_INVALID")
    assert list((tmp_path / "uploads").iterdir()) == []


def test_cancelled_upload_is_gone(client: Client, tmp_path: Path) -> None:
    location = client.ask("POST", "/v2/a/blobs/uploads/")[1]["Location"]
    assert client.ask("DELETE", location)[0] == 204
    assert list((tmp_path / "uploads").iterdir()) == []


def test_blob_belongs_to_its_repository_until_it_is_mounted(client: Client) -> None:
    digest = client.upload("a", DATA)
    assert client.code("GET", f"/v2/b/blobs/{digest}") == (404, "BLOB_UNKNOWN")
    assert client.ask("POST", f"/v2/b/blobs/uploads/?mount={digest}&from=nowhere")[0] == 202
    assert client.ask("POST", f"/v2/b/blobs/uploads/?mount={digest}&from=a")[0] == 201
    assert client.ask("GET", f"/v2/b/blobs/{digest}")[2] == DATA


@pytest.mark.parametrize(
    "media_type", [OCI_INDEX, "application/vnd.docker.distribution.manifest.list.v2+json"]
)
def test_manifest_comes_back_byte_for_byte(client: Client, media_type: str) -> None:
    data = b' {"schemaVersion": 2, "manifests": []}'
    status, headers, _ = client.ask("PUT", "/v2/a/manifests/v1", data, Content_Type=media_type)
    assert (status, headers["Docker-Content-Digest"]) == (201, digest_of(data))
    for name in ("v1", digest_of(data)):
        status, headers, body = client.ask("GET", f"/v2/a/manifests/{name}")
        assert (status, headers["Content-Type"], body) == (200, media_type, data)
        assert client.ask("HEAD", f"/v2/a/manifests/{name}")[2] == b""


def test_docker_manifest_is_taken_too(client: Client) -> None:
    config = b'{"architecture":"amd64","os":"linux"}'
    client.upload("a", config)
    descriptor = {"mediaType": DOCKER_CONFIG, "digest": digest_of(config), "size": len(config)}
    data = json.dumps(
        {"schemaVersion": 2, "mediaType": DOCKER_MANIFEST, "config": descriptor, "layers": []}
    ).encode()
    assert client.ask("PUT", "/v2/a/manifests/v1", data, Content_Type=DOCKER_MANIFEST)[0] == 201


@pytest.mark.parametrize(
    ("name", "data", "media_type", "expected"),
    [
        ("v1", b"{}", "application/json", (415, "MANIFEST_INVALID")),
        ("v1", b"{", OCI_INDEX, (400, "MANIFEST_INVALID")),
        ("v1", b'{"schemaVersion":2}', OCI_INDEX, (400, "MANIFEST_INVALID")),
        ("-", EMPTY_INDEX, OCI_INDEX, (400, "TAG_INVALID")),
        (digest_of(b"other"), EMPTY_INDEX, OCI_INDEX, (400, "DIGEST_INVALID")),
        ("v1", b" " * ((4 << 20) + 1), OCI_INDEX, (413, "SIZE_INVALID")),
        ("v1", image({"/x": b""}).index, OCI_INDEX, (400, "MANIFEST_BLOB_UNKNOWN")),
        (
            "v1",
            next(iter(image({"/x": b""}).manifests.values())),
            OCI_MANIFEST,
            (400, "MANIFEST_BLOB_UNKNOWN"),
        ),
    ],
)
def test_what_is_no_manifest_is_refused(
    client: Client, name: str, data: bytes, media_type: str, expected: tuple[int, str]
) -> None:
    assert client.code("PUT", f"/v2/a/manifests/{name}", data, Content_Type=media_type) == expected


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/v2/a/manifests/v1", (404, "NAME_UNKNOWN")),
        ("GET", "/v2/library/host/manifests/v1", (404, "MANIFEST_UNKNOWN")),
        ("GET", "/v2/a/tags/list", (404, "NAME_UNKNOWN")),
        ("GET", "/v2/A/tags/list", (400, "NAME_INVALID")),
        ("GET", "/v2/../../etc/manifests/x", (400, "NAME_INVALID")),
        ("GET", "/v2/a/..%2F..%2Fetc/blobs/x", (400, "NAME_INVALID")),
        ("GET", "/v2/library/host/blobs/..%2F_tags%2Flatest", (404, "NOT_FOUND")),
        ("GET", "/v2/library/host/manifests/..", (404, "MANIFEST_UNKNOWN")),
        ("GET", "/v2/a%00b/tags/list", (400, "NAME_INVALID")),
        ("GET", "/elsewhere", (404, "NOT_FOUND")),
        ("DELETE", "/v2/library/host/manifests/latest", (405, "UNSUPPORTED")),
        ("PUT", "/v2/a/blobs/uploads/..", (404, "BLOB_UPLOAD_UNKNOWN")),
    ],
)
def test_what_is_not_there_has_its_code(
    client: Client, method: str, path: str, expected: tuple[int, str]
) -> None:
    assert client.code(method, path) == expected


def test_tags_and_repositories_are_listed_in_pages(client: Client) -> None:
    for tag in ("b", "a", "c"):
        client.ask("PUT", f"/v2/x/y/manifests/{tag}", EMPTY_INDEX, Content_Type=OCI_INDEX)
    assert json.loads(client.ask("GET", "/v2/x/y/tags/list")[2]) == {"name": "x/y", "tags": ["a", "b", "c"]}
    _, headers, body = client.ask("GET", "/v2/x/y/tags/list?n=2")
    assert json.loads(body)["tags"] == ["a", "b"]
    following = headers["Link"].partition(">")[0].removeprefix("<")
    assert json.loads(client.ask("GET", following)[2])["tags"] == ["c"]
    assert json.loads(client.ask("GET", "/v2/_catalog")[2]) == {"repositories": ["library/host", "x/y"]}


def test_anybody_may_pull_and_only_logins_may_push(client: Client) -> None:
    digest = client.upload("a", DATA)
    assert client.ask("GET", f"/v2/a/blobs/{digest}", Authorization="")[0] == 200
    assert client.ask("GET", "/v2/library/host/manifests/latest", Authorization="")[0] == 200
    status, headers, _ = client.ask("POST", "/v2/a/blobs/uploads/", Authorization="")
    assert (status, headers["WWW-Authenticate"].split()[0]) == (401, "Basic")
    assert client.ask("GET", "/v2/", Authorization="")[0] == 401
    assert client.ask("GET", "/v2/")[0] == 200


def test_connection_survives_a_refusal_with_an_unread_body(client: Client) -> None:
    assert client.ask("PUT", "/v2/a/manifests/v1", EMPTY_INDEX, Authorization="")[0] == 401
    sock = client.connection.sock
    assert client.ask("GET", "/v2/")[0] == 200
    assert client.connection.sock is sock


def test_upload_that_breaks_off_stores_nothing(registry: Registry, tmp_path: Path) -> None:
    client = Client(registry.serve())
    location = client.ask("POST", "/v2/a/blobs/uploads/")[1]["Location"]
    with socket.create_connection(("127.0.0.1", registry.serve())) as connection:
        head = f"PUT {location}?digest={digest_of(b'xyz')} HTTP/1.1\r\nHost: x\r\nAuthorization: Basic x\r\n"
        connection.sendall(f"{head}Content-Length: 3\r\n\r\nxy".encode())
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""
    assert client.code("GET", f"/v2/a/blobs/{digest_of(b'xyz')}") == (404, "BLOB_UNKNOWN")
    client.connection.close()


def test_many_push_the_same_at_once(registry: Registry) -> None:
    built = image({"/x": DATA})
    port = registry.serve()
    failures: list[BaseException] = []

    def push(number: int) -> None:
        try:
            store(Client(port), f"r{number % 2}", built)
        except BaseException as failure:  # noqa: BLE001 - told below
            failures.append(failure)

    threads = [threading.Thread(target=push, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    for name in ("r0", "r1"):
        assert registry.resolve(f"127.0.0.1:{port}/{name}", "X86_64").digest in built.manifests


def test_host_image_is_there_for_both_architectures_and_always_the_same(
    registry: Registry, tmp_path: Path
) -> None:
    found = {name: registry.resolve("host", name) for name in ("X86_64", "ARM64")}
    assert all(one.is_host for one in found.values())
    assert found["X86_64"].config["config"]["Cmd"] == ["/bin/sh"]
    assert found["ARM64"].config["architecture"] == "arm64"
    again = Registry(tmp_path)
    assert again.resolve("docker.io/library/host:latest", "ARM64") == found["ARM64"]


def test_what_was_pushed_is_found_by_every_name_ecs_may_use(registry: Registry, client: Client) -> None:
    built = image({"/bin/x": DATA}, {"Cmd": ["/bin/x"]})
    store(client, "tools/x", built, "1")
    port = registry.serve()
    arm64 = registry.resolve("docker.io/tools/x:1", "ARM64")
    names = [
        f"docker.io/tools/x@{arm64.digest}",
        f"docker.io/tools/x:1@{built.digest}",
        f"127.0.0.1:{port}/tools/x:1",
        f"localhost:{port}/tools/x:1",
        "123456789012.dkr.ecr.eu-west-1.amazonaws.com/tools/x:1",
    ]
    for name in names:
        assert registry.resolve(name, "arm64") == arm64
    assert not arm64.is_host
    ((digest, path, media_type),) = arm64.layers
    assert path.read_bytes() == built.blobs[digest]
    assert media_type == "application/vnd.oci.image.layer.v1.tar"


def test_private_repository_is_read_and_written_with_its_login_alone(
    registry: Registry, client: Client
) -> None:
    built, mine = image({"/bin/x": DATA}), {"Authorization": LOGIN_OF_PRIVATE.basic}
    manifest, blob = "/v2/private/x/manifests/1", next(iter(built.blobs))
    for method, path in (
        ("PUT", manifest),
        ("GET", manifest),
        ("HEAD", manifest),
        ("GET", "/v2/private/x/tags/list"),
    ):
        for other in ("", LOGIN["Authorization"], Login(username="user", password="wrong").basic):
            status, headers, _ = client.ask(method, path, Authorization=other)
            assert (status, headers["WWW-Authenticate"]) == (401, 'Basic realm="sockerless sandbox"')
    store(client, "private/x", built, "1", **mine)
    assert client.ask("GET", manifest, **mine)[0] == 200
    assert client.ask("POST", f"/v2/a/blobs/uploads/?mount={blob}&from=private/x")[0] == 202
    assert client.ask("POST", f"/v2/a/blobs/uploads/?mount={blob}&from=private/x", **mine)[0] == 201
    found = registry.resolve("private/x:1", "X86_64", LOGIN_OF_PRIVATE)
    assert found.digest in built.manifests
    for login in (None, Login(username="user", password="wrong")):
        with pytest.raises(ImageNotFound, match="pull access denied"):
            registry.resolve("private/x:1", "X86_64", login)


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("nope", "docker.io/library/nope:latest: not found"),
        ("host:2", "docker.io/library/host:2: not found"),
        ("host@sha256:" + "0" * 64, "not found"),
        ("ghcr.io/a/b", "the sandbox has no way out to ghcr.io"),
        ("127.0.0.1:1/a", "no way out"),
        ("1.dkr.ecr.x.amazonaws.com/a", "no way out"),
        ("Not valid", "invalid reference format"),
    ],
)
def test_what_cannot_be_pulled_says_why(registry: Registry, reference: str, message: str) -> None:
    with pytest.raises(ImageNotFound, match=message):
        registry.resolve(reference, "X86_64")


def test_image_without_this_architecture_cannot_be_pulled(registry: Registry, client: Client) -> None:
    store(client, "library/a", image({"/x": b""}, architectures=["arm64"]))
    with pytest.raises(ImageNotFound, match="no matching manifest for linux/amd64"):
        registry.resolve("a", "X86_64")


def test_layer_that_vanished_is_told(registry: Registry, tmp_path: Path) -> None:
    (layer,) = registry.resolve("host", "X86_64").layers
    layer[1].unlink()
    with pytest.raises(ImageNotFound, match="is missing"):
        registry.resolve("host", "X86_64")


def test_close_cuts_connections_and_the_folder_serves_again(tmp_path: Path) -> None:
    first = Registry(tmp_path)
    client = Client(first.serve())
    digest = client.upload("a", DATA)
    first.close()
    with pytest.raises((http.client.HTTPException, OSError)):
        client.ask("GET", "/v2/")
    first.close()
    second = Registry(tmp_path)
    client = Client(second.serve())
    assert client.ask("GET", f"/v2/a/blobs/{digest}")[2] == DATA
    client.connection.close()
    second.close()


def test_storage_never_shows_half_a_blob(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    digest = storage.put_blob("a", DATA)
    assert storage.blob_path(digest).read_bytes() == DATA
    assert list((tmp_path / "uploads").iterdir()) == []


def test_images_for_tests_are_the_same_bytes_each_time() -> None:
    files: dict[str, bytes | File] = {
        "/bin/x": DATA,
        "/etc/y": File(data=b"y", mode=0o644),
        "/z": File(link="bin/x"),
    }
    first, second = image(files, {"Cmd": ["x"]}), image(dict(reversed(files.items())), {"Cmd": ["x"]})
    assert first == second
    with tarfile.open(fileobj=io.BytesIO(next(iter(first.blobs.values())))) as tar:
        assert tar.getnames() == ["bin", "bin/x", "etc", "etc/y", "z"]


def test_search_finds_names_that_can_be_pulled_as_they_stand(client: Client) -> None:
    for repository in ("library/tool", "me/toolbox", "tools", "other"):
        store(client, repository, image({"/x": b""}))
    here = f"127.0.0.1:{client.connection.port}"
    status, headers, body = client.ask("GET", "/v1/search?q=TOOL&n=25")
    assert (status, headers["Content-Type"]) == (200, "application/json")
    found = json.loads(body)
    assert [(one["name"], one["is_official"]) for one in found["results"]] == [
        ("tool", True),
        ("me/toolbox", False),
        (f"{here}/tools", False),
    ]
    assert (found["num_results"], found["query"], found["page_size"]) == (3, "TOOL", 25)
    [host] = json.loads(client.ask("GET", "/v1/search?q=host")[2])["results"]
    assert (host["name"], host["description"].startswith("This machine's own file system")) == ("host", True)
    assert [host[key] for key in ("star_count", "is_automated")] == [0, False]


@pytest.mark.parametrize(
    ("query", "count"), [("", 5), ("?q=", 5), ("?q=&n=2", 2), ("?n=1000", 5), ("?n=x", 5), ("?q=nobody", 0)]
)
def test_search_gives_as_many_as_it_is_asked_for(client: Client, query: str, count: int) -> None:
    for number in range(4):
        store(client, f"library/a{number}", image({"/x": b""}, architectures=["amd64"]))
    assert len(json.loads(client.ask("GET", f"/v1/search{query}")[2])["results"]) == count
