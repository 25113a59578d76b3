"""The layers of the configuration, each read into key → value with its source: file, environment, flags."""

from __future__ import annotations

import configparser
import math
import re
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]  # comes with OmegaConf
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sockerless_ecs.config.schema import Key, keys, sections
from sockerless_ecs.errors import Misconfigured

RESERVED_VARIABLES = frozenset(("SOCKERLESS_SOCKET", "SOCKERLESS_CONFIG"))
"""Names that are no keys: the address for clients, and the file to read."""
_TRUE, _FALSE = frozenset(("true", "yes", "on", "1")), frozenset(("false", "no", "off", "0"))
_WHOLE = re.compile(r"[+-]?[0-9]+")


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong, and the key that would set it right, if there is one."""

    text: str
    key: Key | None = None

    @property
    def told(self) -> str:
        """The text with the three ways to set the key."""
        return self.text + (self.key.ways if self.key else "")


@dataclass(slots=True)
class Layer:
    """What one layer sets: values by key path, where each comes from, and what is wrong with the rest."""

    values: dict[str, object] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    literal: bool = False
    """Whether `${…}` in it is plain text."""


def file_layer(file: Path) -> Layer:
    """The YAML file; raises `Misconfigured` when it cannot be read at all."""
    layer = Layer()
    for section, content in _document(file).items():
        if section not in sections():
            layer.faults.append(_unknown(f"{section}", f"in {file}", list(sections())))
        elif content is None:
            continue
        elif not isinstance(content, dict):
            layer.faults.append(Fault(f"{section} (in {file}) must hold keys, not {content!r}"))
        else:
            for name, value in content.items():
                path = f"{section}.{name}"
                if path in keys():
                    layer.values[path], layer.sources[path] = value, f"file {file}"
                else:
                    layer.faults.append(_unknown(path, f"in {file}", list(keys())))
    return layer


def environment_layer(environment: Mapping[str, str]) -> Layer:
    """`SOCKERLESS_ECS_CLUSTER` and so on; a name with that prefix that is no key is a mistake."""
    by_variable = {key.variable: key for key in keys().values()}
    layer = Layer(literal=True)
    for variable in sorted(environment):
        if not variable.startswith("SOCKERLESS_") or variable in RESERVED_VARIABLES:
            continue
        if key := by_variable.get(variable):
            _take(layer, key, environment[variable], f"environment {variable}")
        else:
            layer.faults.append(_unknown(variable, "in the environment", list(by_variable)))
    return layer


def flag_layer(flags: Mapping[str, str]) -> Layer:
    """Flags by key path (`ecs.cluster`), as `flags_of` gives them."""
    layer = Layer(literal=True)
    for path, text in flags.items():
        if key := keys().get(path):
            _take(layer, key, text, f"flag {key.flag}")
        else:
            layer.faults.append(_unknown(path, "among the flags", list(keys())))
    return layer


def region_layer(
    environment: Mapping[str, str], profile_region: Callable[[Mapping[str, str]], str | None]
) -> Layer:
    """Where AWS's own tools would look for the region; it counts when no other layer says."""
    layer = Layer(literal=True)
    for variable in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        if region := environment.get(variable):
            layer.values["ecs.region"], layer.sources["ecs.region"] = region, f"environment {variable}"
            return layer
    if region := profile_region(environment):
        layer.values["ecs.region"], layer.sources["ecs.region"] = region, "AWS profile"
    return layer


def aws_profile_region(environment: Mapping[str, str]) -> str | None:
    """The region of the AWS profile, from the shared configuration file."""
    home = environment.get("HOME") or "~"
    file = Path(environment.get("AWS_CONFIG_FILE") or f"{home}/.aws/config").expanduser()
    profile = environment.get("AWS_DEFAULT_PROFILE") or environment.get("AWS_PROFILE") or "default"
    parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
    try:
        parser.read(file, encoding="utf-8")
    except (configparser.Error, OSError, UnicodeError):
        return None  # AWS's own client will say what is wrong with it
    for section in (f"profile {profile}", profile):
        if region := parser.get(section, "region", fallback=None):
            return region
    return None


def _document(file: Path) -> dict[str, Any]:
    try:
        loaded = OmegaConf.load(file)
    except yaml.YAMLError as error:
        raise Misconfigured(f"the configuration file {file} is not YAML: {error}") from error
    except UnicodeDecodeError as error:
        raise Misconfigured(f"the configuration file {file} is not UTF-8: {error}") from error
    except OmegaConfBaseException as error:
        raise Misconfigured(f"the configuration file {file} cannot be read: {error}") from error
    except OSError as error:
        raise Misconfigured(
            f"the configuration file {file} cannot be read: {error.strerror or error}"
        ) from error
    if not isinstance(loaded, DictConfig):
        raise Misconfigured(f"the configuration file {file} must hold sections such as `ecs:`")
    return typing.cast("dict[str, Any]", OmegaConf.to_container(loaded, resolve=False))


def _take(layer: Layer, key: Key, text: str, source: str) -> None:
    try:
        layer.values[key.path] = parsed(key.type, text)
    except ValueError as error:
        layer.faults.append(Fault(f"{key.path} (from {source}): {error}", key))
        layer.values[key.path] = key.default
    layer.sources[key.path] = source


def parsed(kind: Any, text: str) -> object:
    """Text of a variable or flag as a value of the key's type; `ValueError` says what it should be."""
    origin = typing.get_origin(kind)
    if origin is tuple:
        return [part.strip() for part in text.split(",")] if text.strip() else []
    if origin is Mapping:
        return _pairs(text)
    if kind is bool:
        return _boolean(text)
    if kind is int:
        if not _WHOLE.fullmatch(text.strip()):
            raise ValueError(f"{text!r} is not a whole number")
        return int(text)
    if kind is float:
        return _number(text)
    return text


def _pairs(text: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for part in text.split(",") if text.strip() else []:
        name, equals, value = part.partition("=")
        if not equals or not name.strip():
            raise ValueError(f"{part.strip()!r} is not NAME=VALUE")
        pairs[name.strip()] = value.strip()
    return pairs


def _boolean(text: str) -> bool:
    word = text.strip().lower()
    if word not in _TRUE | _FALSE:
        raise ValueError(f"{text!r} is neither true nor false")
    return word in _TRUE


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{text!r} is not a number")
    return number


def _unknown(name: str, where: str, known: list[str]) -> Fault:
    close = get_close_matches(name, known, n=1, cutoff=0.6)
    return Fault(f"{name} ({where}) is not a key" + (f": did you mean {close[0]}?" if close else ""))
