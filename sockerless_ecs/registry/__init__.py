"""OCI distribution."""

from sockerless_ecs.registry.client import RegistryClient, pull_reference
from sockerless_ecs.registry.compression import Unpacked
from sockerless_ecs.registry.contents import Contents, ImageContents, Tree
from sockerless_ecs.registry.login import Login
from sockerless_ecs.registry.platform import Platform, parse_platform
from sockerless_ecs.registry.push import RepositoryTarget
from sockerless_ecs.registry.retries import Retries

__all__ = [
    "Contents",
    "ImageContents",
    "Login",
    "Platform",
    "RegistryClient",
    "RepositoryTarget",
    "Retries",
    "Tree",
    "Unpacked",
    "parse_platform",
    "pull_reference",
]
