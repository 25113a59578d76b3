"""How the daemon logs in to registries when a request brings no login of its own."""

from __future__ import annotations

from pathlib import Path

from sockerless_ecs import aws
from sockerless_ecs.config.schema import ImagesSettings
from sockerless_ecs.registry import Credentials, DockerConfig, Login


def known_logins(images: ImagesSettings, ecr: aws.Ecr) -> Credentials:
    """ECR's own login for ECR, then what the configuration says, then Docker's `config.json`."""
    written = {registry: _login(pair) for registry, pair in images.credentials.items()}
    docker = DockerConfig(Path(images.docker_config)) if images.docker_config else None

    async def login(registry: str, refused: str) -> Login | None:
        if ecr.serves(registry):
            found = await ecr.authorization(refused)
            return Login(username=found.username, password=found.password)
        if registry in written:
            return written[registry]
        return await docker.login(registry) if docker else None

    return login


def _login(pair: str) -> Login:
    username, _, password = pair.partition(":")
    return Login(username=username, password=password)
