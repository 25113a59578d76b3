"""The only room that speaks to AWS."""

from sockerless_ecs.aws.calls import Calls, connect
from sockerless_ecs.aws.checks import CloudSetup, problems
from sockerless_ecs.aws.ecr import Ecr, RegistryLogin
from sockerless_ecs.aws.ecs import Ecs, TokenReused
from sockerless_ecs.aws.logs import CloudEvent, LogPage, Logs
from sockerless_ecs.aws.secrets import Secrets

__all__ = [
    "Calls",
    "CloudEvent",
    "CloudSetup",
    "Ecr",
    "Ecs",
    "LogPage",
    "Logs",
    "RegistryLogin",
    "Secrets",
    "TokenReused",
    "connect",
    "problems",
]
