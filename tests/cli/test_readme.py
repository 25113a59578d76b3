"""The README keeps its word: two commands, the same that CI runs, and a table of every configuration key."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from sockerless_ecs.cli import COMMANDS
from sockerless_ecs.config.schema import keys
from sockerless_ecs.http.create_fields import CONFIG, ENDPOINT, HOST_CONFIG, Verdict
from sockerless_ecs.http.shapes.create import CreateBody, EndpointBody, HostConfigBody

_ROOT = Path(__file__).resolve().parents[2]
_README = (_ROOT / "README.md").read_text()


def _between(table: str) -> re.Pattern[str]:
    return re.compile(rf"(<!-- {table}: begin[^\n]* -->\n)(.*)(<!-- {table}: end -->)", re.DOTALL)


_CONFIGURATION = _between("configuration table")
_CREATE = _between("create fields table")


def configuration_table() -> str:
    """What belongs between the README's two marks: every key with its default and its help."""
    rows = ["| key | default | meaning |", "|---|---|---|"]
    for path, key in keys().items():
        default = (
            "**required**" if key.required else f"`{_shown(key.default)}`" if _shown(key.default) else ""
        )
        rows.append(f"| `{path}` | {default} | {key.help.replace('|', chr(92) + '|')} |")
    return "\n".join(rows) + "\n"


def create_fields_table() -> str:
    """What belongs between the other two marks: every field of a create under what becomes of it."""
    groups: dict[tuple[Verdict, str], list[str]] = {}
    for shape, rules, prefix in (
        (CreateBody, CONFIG, ""),
        (HostConfigBody, HOST_CONFIG, ""),
        (EndpointBody, ENDPOINT, "EndpointsConfig."),
    ):
        for name, key in zip(shape.__struct_fields__, shape.__struct_encode_fields__, strict=True):
            if name in {"host_config", "networking_config"}:
                continue
            rule = rules[name]
            groups.setdefault((rule.verdict, rule.advice), []).append(f"`{prefix}{key}`")
    rows = ["| answer | why, or how far | fields |", "|---|---|---|"]
    order = list(Verdict)
    for (verdict, advice), fields in sorted(groups.items(), key=lambda group: order.index(group[0][0])):
        rows.append(f"| {verdict.value} | {advice} | {', '.join(fields)} |")
    return "\n".join(rows) + "\n"


def _shown(default: object) -> str:
    match default:
        case bool():
            return str(default).lower()
        case str() | int() | float():
            return str(default)
    return ""


def test_there_are_two_commands_of_one_line_each() -> None:
    commands = re.findall(r"^python3 .*$", _README, re.MULTILINE)
    assert len(commands) == 2
    assert commands[0].endswith("sockerless-backend-ecs demo")
    assert commands[1].endswith("-m pytest")


def test_ci_runs_the_test_command_as_the_readme_prints_it() -> None:
    script = (_ROOT / ".ci" / "run").read_text()
    pattern = re.search(r"grep -E '(.*)' README\.md", script)
    assert pattern is not None
    found = [line for line in _README.splitlines() if re.search(pattern[1], line)]
    assert found == re.findall(r"^python3 .*pytest$", _README, re.MULTILINE)
    assert 'bash -c "$test_command"' in script


def test_the_configuration_table_is_what_the_schema_says() -> None:
    """`python -m tests.cli.test_readme` writes it anew."""
    found = _CONFIGURATION.search(_README)
    assert found is not None
    assert found[2] == configuration_table()


def test_the_table_of_a_creates_fields_is_what_becomes_of_them() -> None:
    """Written anew by the same command."""
    found = _CREATE.search(_README)
    assert found is not None
    assert found[2] == create_fields_table()


@pytest.mark.parametrize(
    "line", re.findall(r"^(?:\.venv/bin/)?sockerless-backend-ecs +(.*)$", _README, re.MULTILINE)
)
def test_every_command_of_the_readme_exists(line: str) -> None:
    words = line.split("#", maxsplit=1)[0].split()
    assert not words or words[0] in COMMANDS


def test_scripts_are_sound_bash() -> None:
    for script in (_ROOT / ".ci" / "run", _ROOT / "tests" / "clean" / "prove"):
        subprocess.run(["bash", "-n", str(script)], check=True)


if __name__ == "__main__":
    marked = _CONFIGURATION.sub(lambda m: m[1] + configuration_table() + m[3], _README)
    marked = _CREATE.sub(lambda m: m[1] + create_fields_table() + m[3], marked)
    (_ROOT / "README.md").write_text(marked)
    sys.stdout.write("README.md written\n")
