"""Every key from every layer, and which layer wins."""

from __future__ import annotations

import argparse
import itertools
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from sockerless_ecs.config import Loaded, Settings, add_flags, find_file, flags_of, load
from sockerless_ecs.config.schema import Key, keys
from sockerless_ecs.errors import Misconfigured

_ROOT = Path(__file__).parents[2]

REQUIRED: Mapping[str, str] = {
    "ecs.region": "us-east-1",
    "ecs.cluster": "sockerless",
    "ecs.subnets": "subnet-abc123",
    "ecs.security_groups": "sg-abc123",
    "ecs.execution_role_arn": "arn:aws:iam::123456789012:role/execution",
}

_SECRET = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:a/b-cdefgh"

# Three values of each key, as text and as the setting: one for each layer above the defaults.
_THREE: Mapping[str, tuple[tuple[str, object], ...]] = {
    "ecs.region": (("eu-west-1",) * 2, ("eu-west-2",) * 2, ("us-gov-west-1",) * 2),
    "ecs.cluster": (("a",) * 2, ("b-c",) * 2, ("arn:aws:ecs:eu-west-1:1:cluster/x",) * 2),
    "ecs.subnets": (
        ("subnet-1", ("subnet-1",)),
        ("subnet-2,subnet-3", ("subnet-2", "subnet-3")),
        ("subnet-4 , subnet-5", ("subnet-4", "subnet-5")),
    ),
    "ecs.security_groups": (("sg-1", ("sg-1",)), ("sg-2,sg-3", ("sg-2", "sg-3")), ("sg-4", ("sg-4",))),
    "ecs.execution_role_arn": (
        ("arn:aws:iam::1:role/a",) * 2,
        ("arn:aws-cn:iam::2:role/b",) * 2,
        ("arn:aws:iam::3:role/c",) * 2,
    ),
    "ecs.task_role_arn": (
        ("arn:aws:iam::1:role/a",) * 2,
        ("arn:aws:iam::2:role/b",) * 2,
        ("arn:aws:iam::3:role/c",) * 2,
    ),
    "ecs.efs_filesystem_id": (("fs-1",) * 2, ("fs-2",) * 2, ("fs-3",) * 2),
    "ecs.log_group": (("/a",) * 2, ("/b/c",) * 2, ("d",) * 2),
    "ecs.log_retention_days": (("1", 1), ("7", 7), ("0", 0)),
    "ecs.log_mode": (("non-blocking",) * 2, ("blocking",) * 2, ("non-blocking",) * 2),
    "ecs.assign_public_ip": (("true", True), ("no", False), ("true", True)),
    "ecs.architecture": (("arm64",) * 2, ("x86_64",) * 2, ("arm64",) * 2),
    "ecs.capacity_provider": (("FARGATE_SPOT",) * 2, ("FARGATE",) * 2, ("FARGATE_SPOT",) * 2),
    "ecs.default_cpu": (("0.5", 0.5), ("1", 1.0), ("0.25", 0.25)),
    "ecs.default_memory_mib": (("1024", 1024), ("2048", 2048), ("512", 512)),
    "ecs.platform_version": (("1.4.0",) * 2, ("1.3.0",) * 2, ("LATEST",) * 2),
    "ecs.tags": (
        ("team=a", {"team": "a"}),
        ("cost=1,team=x=y", {"cost": "1", "team": "x=y"}),
        ("other=", {"other": ""}),
    ),
    "ecs.endpoint_url": (("http://127.0.0.1:1",) * 2, ("https://a.example",) * 2, ("http://[::1]:2/x",) * 2),
    "listen.socket": (("/a",) * 2, ("/b",) * 2, ("/c",) * 2),
    "listen.mode": (("0600",) * 2, ("660",) * 2, ("0666",) * 2),
    "listen.group": (("docker",) * 2, ("100",) * 2, ("x",) * 2),
    "listen.tcp": (("127.0.0.1:1",) * 2, ("localhost:2",) * 2, ("[::1]:3",) * 2),
    "listen.tls_certificate": (("/a",) * 2, ("/b",) * 2, ("/c",) * 2),
    "listen.tls_key": (("/a",) * 2, ("/b",) * 2, ("/c",) * 2),
    "listen.tls_client_ca": (("/a",) * 2, ("/b",) * 2, ("/c",) * 2),
    "listen.insecure": (("true", True), ("0", False), ("true", True)),
    "docker.socket": (("/d",) * 2, ("/e",) * 2, ("/f",) * 2),
    "docker.mode": (("0600",) * 2, ("660",) * 2, ("0666",) * 2),
    "docker.group": (("docker",) * 2, ("100",) * 2, ("x",) * 2),
    "docker.tcp": (("127.0.0.1:1",) * 2, ("localhost:2",) * 2, ("[::1]:3",) * 2),
    "docker.tls_certificate": (("/a",) * 2, ("/b",) * 2, ("/c",) * 2),
    "docker.tls_key": (("/a",) * 2, ("/b",) * 2, ("/c",) * 2),
    "docker.tls_client_ca": (("/a",) * 2, ("/b",) * 2, ("/c",) * 2),
    "docker.insecure": (("true", True), ("0", False), ("true", True)),
    "store.backend": (("memory",) * 2, ("sqlite",) * 2, ("memory",) * 2),
    "store.path": (("/a",) * 2, ("/b",) * 2, ("/c",) * 2),
    "agent.port": (("1", 1), ("2", 2), ("65535", 65535)),
    "agent.start_timeout_seconds": (("1", 1), ("2", 2), ("3", 3)),
    "agent.reach_timeout_seconds": (("1", 1), ("2", 2), ("3", 3)),
    "agent.linger_seconds": (("0", 0), ("2", 2), ("3", 3)),
    "agent.repository": (("a1",) * 2, ("team/agent",) * 2, ("x-y",) * 2),
    "images.mirrors": (
        ("docker.io=http://127.0.0.1:5", {"docker.io": "http://127.0.0.1:5"}),
        ("a.example:1=https://b,c=http://d", {"a.example:1": "https://b", "c": "http://d"}),
        ("docker.io=https://e", {"docker.io": "https://e"}),
    ),
    "images.insecure_registries": (
        ("a:1", ("a:1",)),
        ("b.example,localhost:5000", ("b.example", "localhost:5000")),
        ("[::1]:5000", ("[::1]:5000",)),
    ),
    "images.sources": (
        ("docker.io/library=public.ecr.aws/x", {"docker.io/library": "public.ecr.aws/x"}),
        ("a.example:1=b,quay.io/x=c/d", {"a.example:1": "b", "quay.io/x": "c/d"}),
        ("docker.io=e:5000", {"docker.io": "e:5000"}),
    ),
    "images.resolve": (("missing",) * 2, ("ttl",) * 2, ("always",) * 2),
    "images.resolve_ttl_seconds": (("1", 1), ("2", 2), ("3", 3)),
    "images.credentials": (
        ("a.example=me:secret", {"a.example": "me:secret"}),
        ("b:5000=me:s=:x,c=you:", {"b:5000": "me:s=:x", "c": "you:"}),
        ("docker.io=x:y", {"docker.io": "x:y"}),
    ),
    "images.secrets": (
        (f"ghcr.io={_SECRET}", {"ghcr.io": _SECRET}),
        (f"ghcr.io/a={_SECRET}1,b:5000={_SECRET}2", {"ghcr.io/a": f"{_SECRET}1", "b:5000": f"{_SECRET}2"}),
        (f"docker.io/x/y={_SECRET}=", {"docker.io/x/y": f"{_SECRET}="}),
    ),
    "images.keep_credentials": (("true", True), ("0", False), ("true", True)),
    "images.docker_config": (("/a",) * 2, ("/b",) * 2, ("/c",) * 2),
    "images.repository": (("aa",) * 2, ("b/c",) * 2, ("dd",) * 2),
    "images.scan_on_push": (("true", True), ("0", False), ("true", True)),
    "images.expire_days": (("0", 0), ("2", 2), ("3", 3)),
    "logs.tail_bytes": (("0", 0), ("2", 2), ("3", 3)),
    "shutdown.grace_seconds": (("0", 0.0), ("2.5", 2.5), ("3", 3.0)),
    "shutdown.containers": (("stop",) * 2, ("keep",) * 2, ("stop",) * 2),
    "log.level": (("debug",) * 2, ("warning",) * 2, ("error",) * 2),
    "log.format": (("console",) * 2, ("json",) * 2, ("console",) * 2),
}
# What must be set along with a key for the whole to make sense.
_ALONG: Mapping[str, Mapping[str, str]] = {
    "ecs.default_cpu": {"ecs.default_memory_mib": "2048"},
    "ecs.default_memory_mib": {"ecs.default_cpu": "0.25"},
    "listen.tls_certificate": {"listen.tls_key": "/k"},
    "listen.tls_key": {"listen.tls_certificate": "/c"},
    "listen.tls_client_ca": {"listen.tls_key": "/k", "listen.tls_certificate": "/c"},
    "docker.tls_certificate": {"docker.tls_key": "/k"},
    "docker.tls_key": {"docker.tls_certificate": "/c"},
    "docker.tls_client_ca": {"docker.tls_key": "/k", "docker.tls_certificate": "/c"},
}
_LAYERS = ("file", "environment", "flag")


def _plain(value: object) -> object:
    match value:
        case tuple():
            return list(value)
        case _:
            return value


def _loaded(
    tmp_path: Path,
    file: Mapping[str, object] | None = None,
    environment: Mapping[str, str] | None = None,
    flags: Mapping[str, str] | None = None,
) -> Loaded:
    """Load the layers, given by key path; the flags through a real parser."""
    document: dict[str, dict[str, object]] = {}
    for path, value in (file or {}).items():
        section, name = path.split(".")
        document.setdefault(section, {})[name] = _plain(value)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(document))
    parser = argparse.ArgumentParser(allow_abbrev=False)
    add_flags(parser)
    words = []
    for path, text in (flags or {}).items():
        key = keys()[path]
        if key.type is bool:
            words.append(key.flag if text in ("true", "1") else f"--no-{key.flag[2:]}")
        else:
            words += [key.flag, text]
    return load(
        flags_of(parser.parse_args(words)),
        {keys()[path].variable: text for path, text in (environment or {}).items()},
        tmp_path / "config.yaml",
        profile_region=lambda _: None,
    )


def _value(loaded: Loaded, key: Key) -> object:
    return getattr(getattr(loaded.settings, key.section), key.name)


def test_every_key_is_tried() -> None:
    assert list(_THREE) == list(keys())


@pytest.mark.parametrize("path", list(_THREE))
@pytest.mark.parametrize(("lower", "higher"), list(itertools.combinations(("default", *_LAYERS), 2)))
def test_higher_layer_wins(tmp_path: Path, path: str, lower: str, higher: str) -> None:
    key = keys()[path]
    layers: dict[str, dict[str, Any]] = {layer: {} for layer in _LAYERS}
    layers["file"] |= {one: keys_value(one, text) for one, text in REQUIRED.items() if one != path}
    layers["flag"] |= _ALONG.get(path, {})
    for layer, (text, value) in zip(_LAYERS, _THREE[path], strict=True):
        if layer in (lower, higher):
            layers[layer][path] = value if layer == "file" else text
    loaded = _loaded(tmp_path, layers["file"], layers["environment"], layers["flag"])
    assert _value(loaded, key) == _THREE[path][_LAYERS.index(higher)][1]
    expected = {
        "file": f"file {tmp_path / 'config.yaml'}",
        "environment": f"environment {key.variable}",
        "flag": f"flag {key.flag}",
    }
    assert loaded.sources[path] == expected[higher]


def keys_value(path: str, text: str) -> object:
    return [text] if isinstance(keys()[path].default, tuple) else text


@pytest.mark.parametrize("path", [path for path, key in keys().items() if not key.required])
def test_default_holds_when_nothing_is_set(tmp_path: Path, path: str) -> None:
    loaded = _loaded(tmp_path, environment=REQUIRED)
    assert _value(loaded, keys()[path]) == keys()[path].default
    assert loaded.sources[path] == "default"


@pytest.mark.parametrize("layer", _LAYERS)
def test_each_layer_alone_is_enough(tmp_path: Path, layer: str) -> None:
    file = {path: keys_value(path, text) for path, text in REQUIRED.items()}
    loaded = _loaded(
        tmp_path,
        file=file if layer == "file" else None,
        environment=REQUIRED if layer == "environment" else None,
        flags=REQUIRED if layer == "flag" else None,
    )
    assert loaded.settings.ecs.subnets == ("subnet-abc123",)


def test_seed_example_loads_verbatim(tmp_path: Path) -> None:
    (tmp_path / "seed.yaml").write_text(
        """\
ecs:
  region: us-east-1
  cluster: sockerless
  subnets: ["subnet-abc123"]
  security_groups: ["sg-abc123"]
  task_role_arn: "arn:aws:iam::..."
  execution_role_arn: "arn:aws:iam::..."
  efs_filesystem_id: "fs-abc123"
  log_group: /sockerless/containers
"""
    )
    settings = load({}, {}, tmp_path / "seed.yaml").settings
    assert settings.ecs.region == "us-east-1"
    assert settings.ecs.cluster == "sockerless"
    assert settings.ecs.subnets == ("subnet-abc123",)
    assert settings.ecs.security_groups == ("sg-abc123",)
    assert settings.ecs.task_role_arn == settings.ecs.execution_role_arn == "arn:aws:iam::..."
    assert settings.ecs.efs_filesystem_id == "fs-abc123"
    assert settings.ecs.log_group == "/sockerless/containers"


def test_documented_file_has_every_key_with_its_default() -> None:
    text = (_ROOT / "conf" / "sockerless-backend.yaml").read_text()
    document = yaml.safe_load(text)
    documented = {
        f"{section}.{name}": value for section, some in document.items() for name, value in some.items()
    }
    assert documented == {path: _plain(key.default) for path, key in keys().items() if not key.required}
    commented = re.findall(r"^  # ([a-z_]+): \S", text, re.MULTILINE)
    assert [f"ecs.{name}" for name in commented] == list(REQUIRED)
    for path, key in keys().items():
        assert key.required == (path in REQUIRED)


def test_documented_file_loads_once_its_required_keys_are_there(tmp_path: Path) -> None:
    text = (_ROOT / "conf" / "sockerless-backend.yaml").read_text()
    (tmp_path / "whole.yaml").write_text(re.sub(r"^  # ([a-z_]+: \S)", r"  \1", text, flags=re.MULTILINE))
    loaded = load({}, {}, tmp_path / "whole.yaml")
    assert loaded.settings == Settings(ecs=loaded.settings.ecs)


def test_names_of_variables_and_flags_are_unique() -> None:
    assert len({key.variable for key in keys().values()}) == len(keys())
    assert len({key.flag for key in keys().values()}) == len(keys())


def test_map_of_a_higher_layer_replaces_the_lower_one_whole(tmp_path: Path) -> None:
    loaded = _loaded(
        tmp_path, file={"ecs.tags": {"a": "1", "b": "2"}}, environment={**REQUIRED, "ecs.tags": "c=3"}
    )
    assert loaded.settings.ecs.tags == {"c": "3"}


def test_list_flag_can_be_repeated(tmp_path: Path) -> None:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    add_flags(parser)
    flags = flags_of(parser.parse_args(["--ecs-subnets", "subnet-1", "--ecs-subnets", "subnet-2,subnet-3"]))
    loaded = load({**REQUIRED, **flags}, {}, None)
    assert loaded.settings.ecs.subnets == ("subnet-1", "subnet-2", "subnet-3")


def test_boolean_flag_does_not_swallow_the_next_word() -> None:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    add_flags(parser)
    parser.add_argument("command")
    parsed = parser.parse_args(["--listen-insecure", "serve"])
    assert (parsed.command, flags_of(parsed)) == ("serve", {"listen.insecure": "true"})


def test_help_names_every_flag_and_variable() -> None:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    add_flags(parser)
    text = parser.format_help()
    for key in keys().values():
        assert key.flag in text
        assert key.variable in text.replace("\n", " ")


@pytest.mark.parametrize("text", ["${ecs.cluster}", "\\${x}", "${", "a${oc.env:HOME}b", "\\\\${oc.env:HOME}"])
def test_environment_and_flags_are_never_interpolated(tmp_path: Path, text: str) -> None:
    loaded = _loaded(
        tmp_path,
        environment={**REQUIRED, "listen.group": text, "ecs.tags": ""},
        flags={"store.path": text},
    )
    assert loaded.settings.listen.group == text
    assert loaded.settings.store.path == text


@pytest.mark.parametrize(
    "text", ["${ecs.cluster}", "\\${x}", "a${oc.env:HOME}b", "\\\\${oc.env:HOME}", "plain"]
)
def test_file_may_refer_to_a_value_from_the_environment_which_stays_literal(
    tmp_path: Path, text: str
) -> None:
    loaded = _loaded(
        tmp_path, file={"listen.group": "${store.path}"}, environment={**REQUIRED, "store.path": text}
    )
    assert loaded.settings.listen.group == text


def test_file_may_refer_to_other_keys(tmp_path: Path) -> None:
    loaded = _loaded(
        tmp_path,
        file={"ecs.log_group": "/sockerless/${ecs.cluster}", "ecs.tags": {"cluster": "${ecs.cluster}"}},
        environment={**REQUIRED, "ecs.cluster": "mine"},
    )
    assert loaded.settings.ecs.log_group == "/sockerless/mine"
    assert loaded.settings.ecs.tags == {"cluster": "mine"}


def _answering(profile: str | None) -> Callable[[Mapping[str, str]], str | None]:
    return lambda _: profile


def test_region_of_aws_counts_when_no_layer_says(tmp_path: Path) -> None:
    rest = {path: text for path, text in REQUIRED.items() if path != "ecs.region"}
    cases: list[tuple[dict[str, str], str | None, str, str]] = [
        (
            {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-2"},
            "eu-west-3",
            "eu-west-1",
            "AWS_REGION",
        ),
        ({"AWS_DEFAULT_REGION": "eu-west-2"}, "eu-west-3", "eu-west-2", "AWS_DEFAULT_REGION"),
        ({}, "eu-west-3", "eu-west-3", "AWS profile"),
    ]
    for environment, profile, region, source in cases:
        loaded = load(rest, environment, None, profile_region=_answering(profile))
        assert loaded.settings.ecs.region == region
        assert source in loaded.sources["ecs.region"]
    loaded = load(REQUIRED, {"AWS_REGION": "eu-west-1"}, None)
    assert loaded.settings.ecs.region == REQUIRED["ecs.region"]
    with pytest.raises(Misconfigured, match=r"ecs\.region is required"):
        load(rest, {}, None, profile_region=lambda _: None)


@pytest.mark.parametrize(
    ("environment", "region"),
    [
        ({}, "eu-west-1"),
        ({"AWS_PROFILE": "ci"}, "eu-west-2"),
        ({"AWS_PROFILE": "none"}, None),
        ({"AWS_CONFIG_FILE": "/nowhere/config"}, None),
    ],
)
def test_region_is_read_from_the_profile(
    tmp_path: Path, environment: dict[str, str], region: str | None
) -> None:
    rest = {path: text for path, text in REQUIRED.items() if path != "ecs.region"}
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "config").write_text(
        "[default]\nregion = eu-west-1\n\n[profile ci]\noutput = json\nregion = eu-west-2\n"
    )
    environment = {"HOME": str(tmp_path), **environment}
    if region is None:
        with pytest.raises(Misconfigured, match=r"ecs\.region is required"):
            load(rest, environment, None)
    else:
        assert load(rest, environment, None).settings.ecs.region == region


def test_file_is_looked_for_in_three_places(tmp_path: Path) -> None:
    default = tmp_path / "default.yaml"
    assert find_file(None, {}, default) is None
    default.touch()
    assert find_file(None, {}, default) == default
    assert find_file(None, {"SOCKERLESS_CONFIG": "/b"}, default) == Path("/b")
    assert find_file("/a", {"SOCKERLESS_CONFIG": "/b"}, default) == Path("/a")


def test_reserved_variables_are_no_keys() -> None:
    load(REQUIRED, {"SOCKERLESS_SOCKET": "/s", "SOCKERLESS_CONFIG": "/c", "SOCKERLES": "x"}, None)
