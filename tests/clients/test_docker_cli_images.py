"""docker history, prune, search and login."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from tests.clients.cli import DockerCli
from tests.clients.engines import IMAGE, Target
from tests.engine.bundles import archive, layer, parts, tarred
from tests.registry.scripted_registry import Asked, Said, scripted_registry

GOING = parts(
    [layer({"etc/going": b"soon"})],
    config={"Labels": {"of": "cli-pruning"}},
    history=[{"created_by": "ADD going", "comment": "told"}],
)


@pytest.fixture
def docker(docker_cli: str, engine: Target) -> DockerCli:
    """The docker command on each engine."""
    return DockerCli(docker_cli, engine)


@pytest.fixture
def ours_only(docker_cli: str, ours: Target) -> DockerCli:
    """The docker command on ours: the real one of the tests reaches no registry."""
    return DockerCli(docker_cli, ours)


def test_history_and_prune_are_printed(docker: DockerCli) -> None:
    docker("load", "-q", stdin=tarred(archive(GOING, "going:1", "going:2")))
    columns = "{{.ID}}|{{.CreatedSince}}|{{.CreatedBy}}|{{.Comment}}"
    shown = docker("history", "--no-trunc", "--format", columns, "going:1").text
    assert shown == f"{GOING.id}|N/A|ADD going|told"
    docker("image", "prune", "-f", "--filter", "label=of=cli-pruning")
    assert docker("images", "-q", "going").text
    pruned = docker("image", "prune", "-a", "-f", "--filter", "label=of=cli-pruning").text.splitlines()
    assert pruned[:4] == ["Deleted Images:", "untagged: going:1", "untagged: going:2", f"deleted: {GOING.id}"]
    assert pruned[-1].startswith("Total reclaimed space: ")
    assert docker("images", "-q", "going").text == ""


def test_an_image_in_use_survives_every_prune(docker: DockerCli) -> None:
    container = docker.create("exit", "0", options=["--label", "of=cli-pruning"])
    assert "deleted" not in docker("image", "prune", "-a", "-f", "--filter", "until=1h").text
    assert docker("images", "-q", IMAGE).text
    docker("rm", container)


def test_system_prune_goes_to_its_end(docker: DockerCli) -> None:
    assert docker("system", "prune", "-f", "--filter", "label=of=nothing").text == "Total reclaimed space: 0B"


def test_search_finds_what_the_sandbox_has(ours_only: DockerCli) -> None:
    columns = "{{.Name}} {{.StarCount}} {{.IsOfficial}}"
    assert ours_only("search", "--format", columns, "host").text == "host 0 [OK]"
    assert ours_only("search", "--limit", "1", "-f", "is-official=true", "--format", columns, "ho").text
    assert ours_only("search", "--format", columns, "-f", "stars=5", "host").text == ""
    failed = ours_only.try_("search", "--limit", "101", "host")
    assert b"limit 101 is outside the range of [1, 100]" in failed.err


def test_login_keeps_a_token_in_place_of_the_password(ours_only: DockerCli, tmp_path: Path) -> None:
    pair = base64.b64encode(b"me:hush").decode()

    def answer(asked: Asked) -> Said:
        if asked.path.startswith("/token"):
            proven = asked.headers.get("Authorization") == f"Basic {pair}"
            return Said(200, b'{"token":"t","refresh_token":"lasting"}') if proven else Said(401)
        if asked.headers.get("Authorization") == "Bearer t":
            return Said(200, b"{}")
        return Said(401, headers={"WWW-Authenticate": f'Bearer realm="{registry.url}/token",service="s"'})

    with scripted_registry(answer) as registry:
        words = ("--config", str(tmp_path), "login", "-u", "me", "--password-stdin", registry.host)
        assert "Login Succeeded" in ours_only(*words, stdin=b"hush").text
        refused = ours_only.try_(*words, stdin=b"wrong")
        assert (refused.code, b"unauthorized" in refused.err) == (1, True)
    kept = json.loads((tmp_path / "config.json").read_text())["auths"][registry.host]
    assert kept["identitytoken"] == "lasting"
    assert base64.b64decode(kept["auth"]).decode().rstrip("\0") == "me:"
