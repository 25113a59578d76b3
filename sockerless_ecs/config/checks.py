"""What single keys cannot know: values that contradict each other, and paths that cannot be used."""

# ruff: noqa: PTH110, PTH112  what may not be looked at counts as not there; pathlib raises

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from sockerless_ecs.config.layers import Fault
from sockerless_ecs.config.schema import ListenSettings, Settings, keys
from sockerless_ecs.errors import Misconfigured
from sockerless_ecs.model.sizing import SIZES

_UNITS_PER_CPU = 1024


def contradictions(settings: Settings) -> Iterator[Fault]:
    """Faults in how keys go together."""
    ecs = settings.ecs
    memories = SIZES.get(round(ecs.default_cpu * _UNITS_PER_CPU), ())
    if ecs.default_memory_mib not in memories:
        sizes = "; ".join(
            f"{units / _UNITS_PER_CPU:g}: {some[0]} to {some[-1]}" for units, some in SIZES.items()
        )
        yield Fault(
            f"ecs.default_cpu and ecs.default_memory_mib: Fargate has no size of {ecs.default_cpu:g} vCPU "
            f"with {ecs.default_memory_mib} MiB (vCPU: MiB that it has: {sizes})",
            keys()["ecs.default_memory_mib" if memories else "ecs.default_cpu"],
        )
    if not (settings.listen.socket or settings.listen.tcp or settings.docker.socket or settings.docker.tcp):
        yield Fault("listen.socket, listen.tcp, docker.socket and docker.tcp are all empty: nobody comes in")
    if settings.listen.socket and settings.listen.socket == settings.docker.socket:
        yield Fault("listen.socket and docker.socket are the same path", keys()["docker.socket"])
    if settings.images.keep_credentials and settings.store.backend == "memory":
        yield Fault(
            "images.keep_credentials needs store.backend = sqlite: a daemon that forgets everything at exit "
            "would leave the logins behind in Secrets Manager",
            keys()["store.backend"],
        )
    yield from _listening("listen", settings.listen)
    yield from _listening("docker", settings.docker)


def check_paths(settings: Settings) -> None:
    """Whether this user can use the configured paths; raises one `Misconfigured` naming every key."""
    faults: list[str] = [*_unusable("listen", settings.listen), *_unusable("docker", settings.docker)]
    if settings.store.backend == "sqlite":
        path = Path(settings.store.path)
        folder = next((one for one in path.parents if os.path.exists(one)), path.parent)
        if reason := _cannot_write_in(folder) or _is_folder(path):
            faults.append(f"store.path = {path}: {reason}{keys()['store.path'].ways}")
    if faults:
        listed = "\n".join(f"  {fault}" for fault in faults)
        raise Misconfigured(f"these paths cannot be used by user {os.geteuid()}:\n{listed}")


def _unusable(section: str, listen: ListenSettings) -> Iterator[str]:
    if listen.socket and (reason := _cannot_write_in(Path(listen.socket).parent)):
        yield f"{section}.socket = {listen.socket}: {reason}{keys()[f'{section}.socket'].ways}"
    for name in ("tls_certificate", "tls_key", "tls_client_ca"):
        file = getattr(listen, name)
        if file and not os.access(file, os.R_OK):
            yield f"{section}.{name} = {file}: cannot be read{keys()[f'{section}.{name}'].ways}"


def _listening(section: str, listen: ListenSettings) -> Iterator[Fault]:
    if bool(listen.tls_certificate) != bool(listen.tls_key):
        missing = "tls_key" if listen.tls_certificate else "tls_certificate"
        together = f"{section}.tls_certificate and {section}.tls_key go together"
        yield Fault(together, keys()[f"{section}.{missing}"])
    if listen.tls_client_ca and not listen.tls_certificate:
        yield Fault(f"{section}.tls_client_ca needs a certificate", keys()[f"{section}.tls_certificate"])
    if listen.open_to_others and not listen.insecure:
        yield Fault(
            f"{section}.tcp = {listen.tcp} can be reached from other machines, and whoever reaches it can "
            f"run containers with the configured roles: set {section}.tls_certificate, {section}.tls_key and "
            f"{section}.tls_client_ca, or listen on a loopback address, or set {section}.insecure",
            keys()[f"{section}.insecure"],
        )


def _cannot_write_in(folder: Path) -> str:
    if not os.path.isdir(folder):
        return f"{folder} is not a folder"
    return "" if os.access(folder, os.W_OK | os.X_OK) else f"no permission to write in {folder}"


def _is_folder(path: Path) -> str:
    return f"{path} is a folder" if os.path.isdir(path) else ""
