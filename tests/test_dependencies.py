"""What is imported is declared: a clean machine has nothing else."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[1]
_PROJECT = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_OURS = ("sockerless_ecs", "tests")
_LATER = ("compression",)
"""Part of later Pythons: imported only there."""
_BY_BOTO3 = "botocore"  # released with boto3, version by version


def _declared(*extras: str) -> set[str]:
    wanted = [*_PROJECT["dependencies"]]
    for extra in extras:
        wanted += _PROJECT["optional-dependencies"][extra]
    names = [found[0] for line in wanted if (found := _NAME.match(line))]
    return {re.sub(r"[-_.]+", "-", name).lower() for name in names} | {_BY_BOTO3}


def _imported(folder: Path) -> Iterator[str]:
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Import(names=names):
                    yield from (name.name.split(".")[0] for name in names)
                case ast.ImportFrom(module=str(module), level=0):
                    yield module.split(".")[0]


def _distributions(folder: Path) -> set[str]:
    modules = {
        name
        for name in _imported(folder)
        if name not in sys.stdlib_module_names and name not in (*_OURS, *_LATER)
    }
    known = packages_distributions()
    return {re.sub(r"[-_.]+", "-", known[name][0]).lower() for name in modules}


@pytest.mark.parametrize(
    ("folder", "extras"), [("sockerless_ecs", ("sandbox",)), ("tests", ("sandbox", "dev"))]
)
def test_every_import_is_a_declared_dependency(folder: str, extras: tuple[str, ...]) -> None:
    """The build hook alone runs with what the build requires."""
    built_with = {"hatchling"} if folder == "sockerless_ecs" else set()
    assert _distributions(_ROOT / folder) - _declared(*extras) - built_with == set()
