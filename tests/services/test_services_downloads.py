"""Files from the web come as they are, from where they may come from, or not at all."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import trio

from sockerless_ecs.errors import InvalidParameter, NotFound, SockerlessError, Unauthorized, Unavailable
from sockerless_ecs.services.downloads import download, shown_address
from tests.registry.scripted_registry import Asked, Said, ScriptedRegistry, scripted_registry

CONTENT = bytes(range(256)) * 4000


@pytest.fixture
def web() -> Iterator[ScriptedRegistry]:
    with scripted_registry(lambda _: Said(200, CONTENT)) as one:
        yield one


async def fetched(address: str) -> bytes:
    async with download(address) as found:
        return b"".join([piece async for piece in found])


async def test_file_comes_with_its_size_and_tells_how_far_it_is(web: ScriptedRegistry) -> None:
    async with download(f"{web.url}/x.tar?a=b") as found:
        assert (found.size, found.received) == (len(CONTENT), 0)
        assert b"".join([piece async for piece in found]) == CONTENT
        assert found.received == len(CONTENT)
        assert found.address == f"{web.url}/x.tar?a=b"
    assert web.paths() == ["/x.tar?a=b"]


async def test_address_without_a_scheme_is_of_http(web: ScriptedRegistry) -> None:
    assert await fetched(f"{web.host}/x") == CONTENT


async def test_compressed_file_comes_as_it_is_stored(web: ScriptedRegistry) -> None:
    web.answer = lambda _: Said(200, b"\x1f\x8b\x08 as it is", {"Content-Encoding": "gzip"})
    assert await fetched(web.url) == b"\x1f\x8b\x08 as it is"
    assert web.asked[0].headers["Accept-Encoding"] == "identity"


async def test_login_in_an_address_is_used_and_never_shown(web: ScriptedRegistry) -> None:
    address = f"http://me:secret@{web.host}/x"
    async with download(address) as found:
        assert "secret" not in found.address
    assert shown_address(address) == f"{web.url}/x"
    assert web.asked[0].headers["Authorization"].startswith("Basic ")
    web.answer = lambda _: Said(404)
    with pytest.raises(NotFound) as refused:
        await fetched(address)
    assert "secret" not in str(refused.value)


async def test_redirects_are_followed_and_not_for_ever(web: ScriptedRegistry) -> None:
    def answer(asked: Asked) -> Said:
        left = int(asked.path.removeprefix("/"))
        return Said(302, b"", {"Location": f"/{left - 1}"}) if left else Said(200, CONTENT)

    web.answer = answer
    assert await fetched(f"{web.url}/5") == CONTENT
    with pytest.raises(Unavailable, match=r"more than 5 redirects"):
        await fetched(f"{web.url}/6")


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://x"])
async def test_redirect_leads_to_http_or_nowhere(web: ScriptedRegistry, target: str) -> None:
    web.answer = lambda _: Said(302, b"", {"Location": target})
    with pytest.raises(Unavailable, match="neither http nor https"):
        await fetched(web.url)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("ftp://x/y", 'unsupported protocol scheme "ftp"'),
        ("file:///etc/passwd", 'unsupported protocol scheme "file"'),
        ("http://", "names no host"),
        ("http:///x", "names no host"),
        ("http://[::1/x", "is none"),
        ("http://a:b:c/", "is none"),
    ],
)
async def test_what_is_no_address_of_the_web_is_refused(address: str, words: str) -> None:
    with pytest.raises(InvalidParameter, match=words):
        await fetched(address)
    with pytest.raises(InvalidParameter, match=words):
        shown_address(address)


@pytest.mark.parametrize(
    ("status", "failure"),
    [(400, InvalidParameter), (401, Unauthorized), (403, Unauthorized), (404, NotFound), (500, Unavailable)],
)
async def test_refusal_is_told_without_what_the_server_says_beside_it(
    web: ScriptedRegistry, status: int, failure: type[SockerlessError]
) -> None:
    web.answer = lambda _: Said(status, b"internal secrets")
    with pytest.raises(failure) as refused:
        await fetched(f"{web.url}/x")
    assert str(refused.value).startswith(f"failed to GET {web.url}/x with status {status} ")
    assert "secrets" not in str(refused.value)


async def test_server_that_is_not_there_is_told_as_such() -> None:
    with trio.socket.socket() as unused:
        await unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}/x"
        with pytest.raises(Unavailable, match=rf"failed to GET {address}: .*[Cc]onnection refused"):
            await fetched(address)


async def test_file_that_is_cut_short_is_never_taken_for_whole(web: ScriptedRegistry) -> None:
    web.answer = lambda _: Said(200, [CONTENT], {"Content-Length": str(len(CONTENT) + 1)})
    with pytest.raises(Unavailable, match="failed to GET"):
        await fetched(web.url)


@pytest.mark.filterwarnings("error::ResourceWarning")
async def test_who_leaves_half_way_leaves_nothing_open(web: ScriptedRegistry) -> None:
    async with download(web.url) as found:
        await anext(found)
    with trio.CancelScope() as scope:
        async with download(web.url) as found:
            await anext(found)
            scope.cancel()
            await anext(found)
    assert scope.cancelled_caught
