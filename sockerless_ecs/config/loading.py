"""The configuration: defaults < YAML file < environment < flags, and all that is wrong told at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sockerless_ecs.config.checks import contradictions
from sockerless_ecs.config.flags import DEFAULT_FILE
from sockerless_ecs.config.layers import (
    Fault,
    Layer,
    aws_profile_region,
    environment_layer,
    file_layer,
    flag_layer,
    region_layer,
)
from sockerless_ecs.config.schema import Key, Settings, keys, sections
from sockerless_ecs.errors import Misconfigured

_USER_INFO = re.compile(r"(?<=://)[^/@\s]+(?=@)")
_MASK = "***"


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """The settings, and where each value comes from."""

    settings: Settings
    sources: Mapping[str, str]
    """Key path → `default`, `file …`, `environment …`, `flag …` or `AWS profile`."""

    def shown(self) -> Iterator[tuple[str, str, str]]:
        """(key, value as JSON, source) for people's eyes, in the schema's order; secrets are masked."""
        for path, key in keys().items():
            value = getattr(getattr(self.settings, key.section), key.name)
            text = msgspec.json.encode(value).decode()
            yield path, _MASK if key.secret and value else _masked(text), self.sources[path]


def load(
    flags: Mapping[str, str],
    environment: Mapping[str, str],
    file: Path | None,
    profile_region: Callable[[Mapping[str, str]], str | None] = aws_profile_region,
) -> Loaded:
    """Merge the layers; raises one `Misconfigured` that names every key at fault and how to set it.

    `flags` as `flags_of` gives them, `file` as `find_file` does.
    """
    layers = [
        region_layer(environment, profile_region),
        file_layer(file) if file else Layer(),
        environment_layer(environment),
        flag_layer(flags),
    ]
    sources = dict.fromkeys(keys(), "default")
    for layer in layers:
        sources |= layer.sources
    faults = [fault for layer in layers for fault in layer.faults]
    values = _checked(_merged(layers, faults), sources, faults)
    if not faults:
        settings = _settings(values)
        faults = list(contradictions(settings))
        if not faults:
            return Loaded(settings=settings, sources=sources)
    told = "\n".join(f"  {_masked(fault.told)}" for fault in faults)
    raise Misconfigured(f"the configuration cannot be used ({_read(file)}):\n{told}")


def _merged(layers: Sequence[Layer], faults: list[Fault]) -> dict[str, object]:
    """The last layer that sets a key wins it whole; `${…}` means something in the file only."""
    merged = OmegaConf.create({section: {} for section in sections()})
    literal: dict[str, object] = {}
    for path, key in keys().items():
        _set(merged, path, key.default)
    for layer in layers:
        for path, value in layer.values.items():
            _set(merged, path, _escaped(value) if layer.literal else value)
            literal.pop(path, None)
            if layer.literal:
                literal[path] = value
    values: dict[str, object] = {}
    for path, key in keys().items():
        try:
            values[path] = literal[path] if path in literal else _resolved(merged, path)
        except OmegaConfBaseException as error:
            faults.append(Fault(f"{path}: {str(error).splitlines()[0]}", key))
    return values


def _set(config: DictConfig, path: str, value: object) -> None:
    section, name = path.split(".")
    config[section][name] = list(value) if isinstance(value, tuple) else value


def _escaped(value: object) -> object:
    """The value such that a reference to it from the file yields it unchanged."""
    match value:
        case str():
            return re.sub(r"(\\*)\$\{", r"\1\1\\${", value)
        case list():
            return [_escaped(one) for one in value]
        case dict():
            return {name: _escaped(one) for name, one in value.items()}
    return value


def _resolved(config: DictConfig, path: str) -> object:
    value = OmegaConf.select(config, path, throw_on_missing=True)
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value


def _checked(
    values: Mapping[str, object], sources: Mapping[str, str], faults: list[Fault]
) -> dict[str, object]:
    """Every value as its key's type, its rule kept; what is not becomes a fault."""
    checked: dict[str, object] = {}
    for path, value in values.items():
        key = keys()[path]
        if key.required and not value:
            faults.append(Fault(f"{path} is required and not set", key))
            continue
        try:
            checked[path] = msgspec.convert(value, key.type)
            complaint = key.rule(checked[path]) if key.rule else None
        except msgspec.ValidationError as error:
            complaint = f"{value!r} is not right: {error}{_hint(key, value)}"
        if complaint:
            faults.append(Fault(f"{path} (from {sources[path]}): {complaint}", key))
    return checked


def _hint(key: Key, value: object) -> str:
    return "; write it in quotes" if key.type is str and isinstance(value, int | float) else ""


def _settings(values: Mapping[str, object]) -> Settings:
    made: dict[str, Any] = {
        section: kind(**{key.name: values[path] for path, key in keys().items() if key.section == section})
        for section, kind in sections().items()
    }
    return Settings(**made)


def _read(file: Path | None) -> str:
    return f"file: {file}" if file else f"no file was read: there is no {DEFAULT_FILE}"


def _masked(text: str) -> str:
    """Without user names and passwords in URLs."""
    return _USER_INFO.sub(_MASK, text)
