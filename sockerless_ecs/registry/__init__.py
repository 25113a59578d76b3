"""OCI distribution."""

from sockerless_ecs.registry.client import RegistryClient
from sockerless_ecs.registry.compression import Unpacked
from sockerless_ecs.registry.contents import Contents, ImageContents, Tree
from sockerless_ecs.registry.described import Described, Named, described
from sockerless_ecs.registry.docker_config import DockerConfig
from sockerless_ecs.registry.login import Login
from sockerless_ecs.registry.platform import Platform, made_for, parse_platform
from sockerless_ecs.registry.push import RepositoryTarget
from sockerless_ecs.registry.retries import Retries
from sockerless_ecs.registry.transport import Credentials

__all__ = [
    "Contents",
    "Credentials",
    "Described",
    "DockerConfig",
    "ImageContents",
    "Login",
    "Named",
    "Platform",
    "RegistryClient",
    "RepositoryTarget",
    "Retries",
    "Tree",
    "Unpacked",
    "described",
    "made_for",
    "parse_platform",
]
