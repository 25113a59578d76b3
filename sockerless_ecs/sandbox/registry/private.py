"""Private repositories: all below `private/`. They are read and written as `user` with the password `secret`.

They are those of a Docker Hub (`private/tool`) or of a registry at `localhost:PORT`. At `127.0.0.1:PORT` the
sandbox plays ECR, whose images ECS pulls by a role and not by a login: what is private is out of reach there.
"""

from __future__ import annotations

from sockerless_ecs.registry import Login

LOGIN = Login(username="user", password="secret")  # noqa: S106 - no secret at all
_BEGINNING = "private/"


def admits(repository: str, authorization: str) -> bool:
    """Whether a repository can be used with this Authorization header."""
    return not repository.startswith(_BEGINNING) or authorization == LOGIN.basic
