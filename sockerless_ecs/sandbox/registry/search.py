"""Docker Hub's search, over what the sandbox's registry has."""

from __future__ import annotations

from collections.abc import Iterable

from sockerless_ecs.sandbox.registry.host import HOST_REPOSITORY

_OFFICIAL = "library/"
_DESCRIPTIONS = {HOST_REPOSITORY: "This machine's own file system, under a layer that takes the writes"}
_USUAL, _MOST = 25, 100


def search_results(repositories: Iterable[str], term: str, count: str, host: str) -> dict[str, object]:
    """The page of results whose names have the term; each name can be pulled as it stands.

    What is in no folder is not to be had as an image of Docker Hub: its name begins with `host`.
    """
    size = min(int(count), _MOST) if count.isascii() and count.isdecimal() else _USUAL
    results = [
        {
            "name": repository.removeprefix(_OFFICIAL) if "/" in repository else f"{host}/{repository}",
            "description": _DESCRIPTIONS.get(repository, "Pushed to the sandbox"),
            "star_count": 0,
            "is_official": repository.startswith(_OFFICIAL),
            "is_automated": False,
        }
        for repository in repositories
        if term.lower() in repository.removeprefix(_OFFICIAL)
    ]
    return {
        "query": term,
        "num_results": len(results),
        "num_pages": 1,
        "page": 1,
        "page_size": size,
        "results": results[:size],
    }
