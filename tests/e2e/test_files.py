"""Files in and out of containers, through the daemon and real agents."""

from __future__ import annotations

import io
import tarfile
from typing import Any


from tests.e2e.world import Api, eventually


def packed(files: dict[str, bytes], **more: Any) -> bytes:
    """A tar of regular files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", **more) as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o644
            tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


async def put(api: Api, container: str, path: str, tar: bytes, **query: Any) -> None:
    answer = await api.http.put(
        f"/containers/{container}/archive", params={"path": path, **query}, content=tar
    )
    assert answer.status_code == 200, answer.text


async def get(api: Api, container: str, path: str) -> dict[str, bytes | None]:
    """The files of a path, by name."""
    answer = await api.http.get(f"/containers/{container}/archive", params={"path": path})
    assert answer.status_code == 200, answer.text
    with tarfile.open(fileobj=io.BytesIO(answer.content)) as tar:
        return {one.name: file.read() if (file := tar.extractfile(one)) else None for one in tar}


async def test_files_copied_before_the_start_are_there_for_the_process(api: Api) -> None:
    container = await api.create("sh", "-c", "cat /tmp/one /tmp/two")
    await put(api, container, "/tmp", packed({"one": b"first\n"}))
    await put(api, container, "/tmp", packed({"two": b"second\n"}))
    assert await get(api, container, "/tmp/one") == {"one": b"first\n"}
    assert (await api.inspect(container))["State"]["Status"] == "created"
    await api.start(container)
    assert await api.wait(container) == 0
    assert (await api.logs(container))[0] == b"first\nsecond\n"
    await api.remove(container)


async def test_files_are_copied_out_while_it_runs_and_after_it_has_ended(api: Api) -> None:
    container = await api.run("sh", "-c", "echo made > /tmp/made; echo ready; sleep 60")

    async def ready() -> bool:
        return b"ready" in (await api.logs(container))[0]

    await eventually(ready)
    assert await get(api, container, "/tmp/made") == {"made": b"made\n"}
    await put(api, container, "/tmp", packed({"late": b"late"}))
    await api.call("POST", f"/containers/{container}/kill")
    await api.wait(container)
    assert await get(api, container, "/tmp/late") == {"late": b"late"}
    await api.remove(container)
