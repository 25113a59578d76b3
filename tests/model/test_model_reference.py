"""Image references are read, shown and guessed as Docker does it."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockerless_ecs.errors import InvalidParameter
from sockerless_ecs.model.reference import (
    Reference,
    familiar,
    familiar_name,
    from_pull,
    is_image_id,
    parse,
)

HEX = "a" * 64
DIGEST = f"sha256:{HEX}"

_components = st.from_regex(r"[a-z0-9]{1,8}((\.|_|__|-{1,3})[a-z0-9]{1,8}){0,2}", fullmatch=True)
_registries = st.one_of(
    st.sampled_from(
        ["docker.io", "localhost", "localhost:5000", "127.0.0.1:80", "[::1]:5000", "GHCR", "a.b"]
    ),
    st.from_regex(r"[a-z0-9]{1,8}(\.[a-z0-9]{1,8}){1,3}(:[0-9]{1,5})?", fullmatch=True),
)
_references = st.builds(
    Reference,
    registry=_registries,
    repository=st.lists(_components, min_size=1, max_size=4).map("/".join),
    tag=st.none() | st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True),
    digest=st.none() | st.from_regex(r"sha256:[a-f0-9]{64}", fullmatch=True),
).map(
    lambda one: parse(
        one.name + (f":{one.tag}" if one.tag else "") + (f"@{one.digest}" if one.digest else "")
    )
)


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("alpine", "docker.io/library/alpine:latest"),
        ("alpine:3.19", "docker.io/library/alpine:3.19"),
        ("docker.io/alpine", "docker.io/library/alpine:latest"),
        ("index.docker.io/library/alpine", "docker.io/library/alpine:latest"),
        ("user/tool:x", "docker.io/user/tool:x"),
        ("localhost/tool", "localhost/tool:latest"),
        ("localhost:5000/a/b:1", "localhost:5000/a/b:1"),
        ("registry:5000", "docker.io/library/registry:5000"),
        ("[::1]:5000/x", "[::1]:5000/x:latest"),
        ("UPPER/x", "UPPER/x:latest"),
        (f"alpine@{DIGEST}", f"docker.io/library/alpine@{DIGEST}"),
        (f"ghcr.io/a/b:1@{DIGEST}", f"ghcr.io/a/b:1@{DIGEST}"),
        (
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com/x",
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com/x:latest",
        ),
    ],
)
def test_full_reference_has_every_default_filled_in(text: str, full: str) -> None:
    assert parse(text).full == full


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "invalid reference format"),
        (":latest", "invalid reference format"),
        ("a b", "invalid reference format"),
        ("alpine:", "invalid reference format"),
        ("alpine:é", "invalid reference format"),
        ("-alpine", "invalid reference format"),
        ("a//b", "invalid reference format"),
        ("../etc/passwd", "invalid reference format"),
        ("alpine\n", "invalid reference format"),
        ("https://docker.io/alpine", "invalid reference format"),
        (f"alpine:{'t' * 129}", "invalid reference format"),
        ("Alpine", "invalid reference format: repository name (library/Alpine) must be lowercase"),
        ("a.b/" + "x" * 256, "repository name must not be more than 255 characters"),
        (HEX, f"invalid repository name ({HEX}), cannot specify 64-byte hexadecimal strings"),
        ("alpine@md5:" + "a" * 32, "unsupported digest algorithm"),
        ("alpine@sha256:" + "a" * 32, "invalid checksum digest length"),
        ("alpine@sha256:" + "A" * 64, "invalid checksum digest format"),
    ],
)
def test_what_is_no_reference_is_refused_in_dockers_words(text: str, message: str) -> None:
    with pytest.raises(InvalidParameter) as refused:
        parse(text)
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("alpine", "docker.io/library/alpine:latest"),
        (f"alpine:{DIGEST}", f"docker.io/library/alpine@{DIGEST}"),
        (f"ghcr.io/a/b:{DIGEST}", f"ghcr.io/a/b@{DIGEST}"),
        (f"alpine:3:{DIGEST}", f"docker.io/library/alpine@{DIGEST}"),
        ("alpine:3.19:latest", "docker.io/library/alpine:3.19"),
        ("alpine:3.19:3.20", "docker.io/library/alpine:3.20"),
        ("localhost:5000/a:1:latest", "localhost:5000/a:1"),
        (f"alpine@{DIGEST}:latest", f"docker.io/library/alpine@{DIGEST}"),
        (f"alpine:3@{DIGEST}:latest", f"docker.io/library/alpine:3@{DIGEST}"),
        (f"alpine@{DIGEST}:3", f"docker.io/library/alpine:3@{DIGEST}"),
    ],
)
def test_what_a_front_end_glued_together_is_taken_apart(text: str, full: str) -> None:
    assert from_pull(text).full == full


@pytest.mark.parametrize("text", ["", ":", ":latest", "::latest", f":{DIGEST}", "a:b:c:d", "A:latest:latest"])
def test_pull_of_no_reference_is_refused(text: str) -> None:
    with pytest.raises(InvalidParameter):
        from_pull(text)


@given(_references)
def test_every_reference_reads_back_from_its_full_and_familiar_forms(reference: Reference) -> None:
    assert parse(reference.full) == reference.or_latest()
    assert parse(familiar(reference)) == reference
    assert from_pull(reference.full) == reference.or_latest()
    assert from_pull(f"{familiar(reference.or_latest())}:latest") == reference.or_latest()
    assert len(familiar_name(reference)) <= len(reference.name)


@given(st.text())
def test_any_text_is_a_reference_or_an_invalid_parameter(text: str) -> None:
    try:
        assert parse(parse(text).full)
    except InvalidParameter:
        return


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("docker.io/library/alpine:3", "alpine:3"),
        ("docker.io/user/tool", "user/tool"),
        ("docker.io/library/a/b", "library/a/b"),
        ("docker.io/localhost/x", "docker.io/localhost/x"),
        (f"docker.io/library/{HEX}", f"library/{HEX}"),
        ("ghcr.io/a/b:1", "ghcr.io/a/b:1"),
    ],
)
def test_familiar_form_is_the_shortest_that_means_the_same(text: str, short: str) -> None:
    assert familiar(parse(text)) == short


def test_image_ids_are_told_from_names() -> None:
    assert all(is_image_id(text) for text in (DIGEST, HEX, "deadbeefcafe", "sha256:deadbeef"))
    assert not any(is_image_id(text) for text in ("alpine", "deadbeef", "deadbeefcafe:1", "", f"x@{DIGEST}"))


@pytest.mark.parametrize("piece", ["a", "a-", "a.", "a_", "a/", "a:", "-", "@", "A", "a--"])
def test_no_text_takes_long_to_refuse(piece: str) -> None:
    text = piece * (200_000 // len(piece)) + "!"
    begun = time.process_time()
    for read in (parse, from_pull):
        with pytest.raises(InvalidParameter):
            read(text)
    assert time.process_time() - begun < 2
