"""The sandbox's registry: a small OCI distribution server that plays ECR and Docker Hub."""

from sockerless_ecs.sandbox.registry.resolve import ImageNotFound, ResolvedImage
from sockerless_ecs.sandbox.registry.server import Registry

__all__ = ["ImageNotFound", "Registry", "ResolvedImage"]
