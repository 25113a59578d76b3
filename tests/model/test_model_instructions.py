"""Changes to an image's configuration mean what they mean to dockerd."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockerless_ecs.errors import InvalidParameter
from sockerless_ecs.model.container import Healthcheck
from sockerless_ecs.model.expansion import expanded, expanded_words, variables_of
from sockerless_ecs.model.image import ImageConfig
from sockerless_ecs.model.instructions import changed
from tests.changes import MADE, REFUSED, Changes

BEFORE = ImageConfig(
    user="me",
    env=("PATH=/bin", "A=1"),
    cmd=("sh",),
    entrypoint=("/init",),
    working_dir="/srv",
    labels={"a": "b"},
    exposed_ports=("80/tcp",),
    volumes=("/data",),
    on_build=("RUN x",),
)


def shown(config: ImageConfig) -> dict[str, object]:
    """What is not empty, by Docker's names."""
    check = config.healthcheck or Healthcheck()
    told = {
        "Cmd": list(config.cmd or ()),
        "Entrypoint": list(config.entrypoint or ()),
        "Env": list(config.env),
        "ExposedPorts": {port: {} for port in config.exposed_ports},
        "Labels": dict(config.labels),
        "OnBuild": list(config.on_build),
        "StopSignal": config.stop_signal,
        "User": config.user,
        "Volumes": {volume: {} for volume in config.volumes},
        "WorkingDir": config.working_dir,
        "Healthcheck": {
            "Test": list(check.test),
            "Interval": check.interval_ns,
            "Timeout": check.timeout_ns,
            "StartPeriod": check.start_period_ns,
            "Retries": check.retries,
        },
    }
    told["Healthcheck"] = {key: value for key, value in told["Healthcheck"].items() if value}  # type: ignore[attr-defined]
    return {key: value for key, value in told.items() if value}


@pytest.mark.parametrize("changes", MADE)
def test_changes_to_nothing_make_what_dockerd_makes_of_them(changes: Changes) -> None:
    assert shown(changed(ImageConfig(), changes)) == MADE[changes]


@pytest.mark.parametrize("changes", REFUSED)
def test_what_dockerd_refuses_is_refused_in_its_words(changes: Changes) -> None:
    with pytest.raises(InvalidParameter) as refused:
        changed(ImageConfig(), changes)
    assert str(refused.value).lower() == REFUSED[changes].lower()


def test_changes_are_made_to_what_there_is() -> None:
    made = changed(
        BEFORE,
        [
            "ENV A=2 B=$A:$PATH",
            "LABEL c=d",
            "EXPOSE 81",
            "VOLUME /more",
            "WORKDIR below",
            "ONBUILD RUN y",
            "STOPSIGNAL SIGINT",
        ],
    )
    assert shown(made) == {
        **shown(BEFORE),
        "Env": ["PATH=/bin", "A=2", "B=1:/bin"],
        "Labels": {"a": "b", "c": "d"},
        "ExposedPorts": {"80/tcp": {}, "81/tcp": {}},
        "Volumes": {"/data": {}, "/more": {}},
        "WorkingDir": "/srv/below",
        "OnBuild": ["RUN x", "RUN y"],
        "StopSignal": "SIGINT",
    }


def test_new_entrypoint_drops_the_command_that_was_there_and_keeps_one_of_the_same_changes() -> None:
    assert changed(BEFORE, ['ENTRYPOINT ["x"]']).cmd is None
    assert changed(BEFORE, ['CMD ["y"]', 'ENTRYPOINT ["x"]']).cmd == ("y",)
    assert changed(BEFORE, ['CMD ["y"]']).entrypoint == ("/init",)


def test_no_changes_change_nothing() -> None:
    assert changed(BEFORE, []) is BEFORE


@pytest.mark.parametrize(
    "changes",
    [
        "CMD --" + "'" * 50_000 + "\\\\\\",
        "ENV " + '"\\' * 30_000 + "=",
        "ONBUILD " * 8_000,
        "CMD " + "[" * 60_000,
        "ENV a=" + "${a:-" * 12_000,
        "ENV " + " ".join(f"a{n}=b" for n in range(8_000)),
        "EXPOSE 0-65535\n" * 900,
        "ENV a=b\n" * 8_000,
        "CMD x\\" + " " * 60_000 + "y",
    ],
    ids=lambda changes: f"{changes[:12]}…",
)
def test_hostile_changes_take_no_time(changes: str) -> None:
    began = time.process_time()
    with suppress(InvalidParameter):
        changed(ImageConfig(), [changes])
    assert time.process_time() - began < 1


_TEXT = st.text(st.characters(codec="utf-8"), max_size=40)
_ODD = st.lists(
    st.sampled_from(
        ["CMD", "ENV", "ONBUILD ", "HEALTHCHECK ", "a=b", "=", '"', "'", "\\", " ", "\n", "$", "${"]
    ),
    max_size=20,
).map("".join)


@given(st.lists(_TEXT | _ODD, max_size=4))
def test_any_text_is_either_done_or_refused(changes: list[str]) -> None:
    with suppress(InvalidParameter):
        changed(BEFORE, changes)


def _in_quotes(text: str) -> str:
    return '"' + "".join(f"\\{one}" if one in '"$\\' else one for one in text) + '"'


_LINE = _TEXT.filter(lambda text: not {"\n", "\r"} & set(text) and not text.endswith("\\"))


@given(st.from_regex(r"[A-Za-z_]\w{0,9}", fullmatch=True), _LINE)
def test_quoted_value_arrives_as_it_is(name: str, value: str) -> None:
    config = changed(ImageConfig(), [f"ENV {name}={_in_quotes(value)}"])
    assert config.env == (f"{name}={value}",)


@given(_TEXT)
def test_what_is_in_single_quotes_is_not_touched(text: str) -> None:
    quoted = "'" + text.replace("'", "") + "'"
    assert expanded(quoted, {"A": "1"}) == quoted[1:-1]


@given(st.dictionaries(st.from_regex(r"[A-Z_]{1,5}", fullmatch=True), _TEXT, max_size=4))
def test_variables_are_filled_in_whatever_they_hold(variables: dict[str, str]) -> None:
    for name, value in variables.items():
        assert expanded(f"<${{{name}}}>", variables) == f"<{value}>"
        assert expanded(f'"${name}"', variables) == value
        assert list(expanded_words(f"${name}", variables)) == value.split()


def test_of_a_variable_that_is_there_twice_the_first_counts() -> None:
    assert variables_of(["A=1", "A=2", "B"]) == {"A": "1", "B": ""}


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("${U-x}${E-y}${V-z}", "x1"),
        ("${U:-x}${E:-y}${V:-z}", "xy1"),
        ("${U+x}${E+y}${V+z}", "yz"),
        ("${U:+x}${E:+y}${V:+z}", "z"),
        ("${V?no}${E?no}", "1"),
        ("${U:-${W:-$V}}", "1"),
    ],
)
def test_substitutions_tell_unset_from_empty(text: str, meant: str) -> None:
    assert expanded(text, {"V": "1", "E": ""}) == meant


@pytest.mark.parametrize("text", ["${V", "${", "${V:-a", "${V/a}", "${V:*a}", "${U?}", "${E:?}"])
def test_substitutions_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(InvalidParameter, match="failed to process"):
        expanded(text, {"V": "1", "E": ""})
