"""Every configuration key: its type, default, rule and one sentence of help."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

from sockerless_ecs.config import rules

T = TypeVar("T")

_ARN = r"arn:[a-z0-9-]+:"
_CLUSTER = rf"[A-Za-z0-9_-]{{1,255}}|{_ARN}ecs:\S+:cluster/\S+"
_REPOSITORY = r"(?=.{2,256}$)[a-z0-9]+(?:[._/-][a-z0-9]+)*"
_ROLE = rules.matching(rf"{_ARN}iam:\S+", "the ARN of an IAM role")
_DAY_SECONDS = 86_400


def _key(
    default: T,
    help_text: str,
    *,
    rule: rules.Rule | None = None,
    required: bool = False,
    secret: bool = False,
) -> T:
    about = {"help": help_text, "rule": rule, "required": required, "secret": secret}
    made: object = (
        field(default_factory=default.copy, metadata=about)
        if isinstance(default, dict)
        else field(default=default, metadata=about)
    )
    return cast("T", made)


@dataclass(frozen=True, slots=True, kw_only=True)
class EcsSettings:
    """Where in AWS tasks run, and how."""

    region: str = _key(
        "",
        "AWS region; AWS_REGION, AWS_DEFAULT_REGION and the AWS profile count too",
        rule=rules.matching(r"[a-z0-9]+(-[a-z0-9]+)+", "an AWS region"),
        required=True,
    )
    cluster: str = _key(
        "",
        "name or ARN of the ECS cluster",
        rule=rules.matching(_CLUSTER, "a cluster's name or ARN"),
        required=True,
    )
    subnets: tuple[str, ...] = _key(
        (),
        "subnets of the tasks",
        rule=rules.each(rules.matching(r"subnet-[0-9A-Za-z]+", "a subnet id")),
        required=True,
    )
    security_groups: tuple[str, ...] = _key(
        (),
        "security groups of every task; one must admit the daemon to the agent's port",
        rule=rules.each(rules.matching(r"sg-[0-9A-Za-z]+", "a security group id")),
        required=True,
    )
    execution_role_arn: str = _key(
        "", "role with which ECS pulls images and writes logs", rule=_ROLE, required=True
    )
    task_role_arn: str = _key("", "role of the containers themselves", rule=_ROLE)
    efs_filesystem_id: str = _key(
        "",
        "EFS file system of the named volumes",
        rule=rules.matching(r"fs-[0-9A-Za-z]+", "an EFS file system id"),
    )
    log_group: str = _key(
        "/sockerless/containers",
        "CloudWatch Logs group of the containers; made if missing",
        rule=rules.matching(r"[A-Za-z0-9_./#-]{1,512}", "a log group's name", may_be_empty=False),
    )
    log_retention_days: int = _key(
        30, "retention of a log group that the daemon makes; 0 = for ever", rule=rules.retention
    )
    log_mode: Literal["blocking", "non-blocking"] = _key(
        "blocking", "of awslogs; non-blocking may lose lines when CloudWatch is slow"
    )
    assign_public_ip: bool = _key(False, "public addresses, for subnets without NAT")
    architecture: Literal["x86_64", "arm64"] = _key("x86_64", "processor of the tasks")
    capacity_provider: Literal["FARGATE", "FARGATE_SPOT"] = _key("FARGATE", "FARGATE or FARGATE_SPOT")
    default_cpu: float = _key(0.25, "vCPU of a container that does not say", rule=rules.between(0.25, 16))
    default_memory_mib: int = _key(
        512, "memory of a container that does not say", rule=rules.between(512, 122_880)
    )
    platform_version: str = _key(
        "LATEST",
        "Fargate platform version",
        rule=rules.matching(
            r"LATEST|[0-9]+\.[0-9]+\.[0-9]+", "LATEST or a version such as 1.4.0", may_be_empty=False
        ),
    )
    tags: Mapping[str, str] = _key({}, "tags of every AWS object the daemon makes", rule=rules.tags)
    endpoint_url: str = _key("", "an AWS-compatible endpoint in place of AWS itself", rule=rules.url)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenSettings:
    """Where an API is served: `listen` is the internal one, `docker` is Docker's."""

    socket: str = _key("/var/run/sockerless-backend.sock", "path of the Unix socket; empty = none")
    mode: str = _key(
        "0660",
        "permissions of the socket, octal",
        rule=rules.matching(r"0?[0-7]{3}", 'octal such as "0660"', may_be_empty=False),
    )
    group: str = _key("", "group of the socket, by name or number; empty = the daemon's")
    tcp: str = _key("", "HOST:PORT to listen on as well; empty = none", rule=rules.host_port)
    tls_certificate: str = _key("", "file with the listener's certificate chain, PEM")
    tls_key: str = _key("", "file with its key, PEM")
    tls_client_ca: str = _key("", "file with the authorities whose clients are let in, PEM")
    insecure: bool = _key(False, "serve TCP beyond this machine without mutual TLS")

    @property
    def mode_bits(self) -> int:
        """`mode` as a number."""
        return int(self.mode, 8)

    @property
    def tcp_address(self) -> tuple[str, int] | None:
        """`tcp` as host and port."""
        return rules.split_host_port(self.tcp)

    @property
    def mutual_tls(self) -> tuple[Path, Path, Path] | None:
        """Certificate, key and client CA, when all three are there."""
        if not (self.tls_certificate and self.tls_key and self.tls_client_ca):
            return None
        return Path(self.tls_certificate), Path(self.tls_key), Path(self.tls_client_ca)

    @property
    def open_to_others(self) -> bool:
        """Whether somebody on another machine could reach the TCP listener without a certificate."""
        address = self.tcp_address
        return address is not None and not rules.is_loopback(address[0]) and self.mutual_tls is None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSettings:
    """Where the daemon keeps its state."""

    backend: Literal["sqlite", "memory"] = _key("sqlite", "memory forgets everything at exit")
    path: str = _key(
        "/var/lib/sockerless/state.db",
        "the database; the daemon's identity is kept beside it",
        rule=rules.matching(r".+", "a path", may_be_empty=False),
    )

    @property
    def where(self) -> Path | Literal["memory"]:
        """What to open."""
        return "memory" if self.backend == "memory" else Path(self.path)

    @property
    def identity_path(self) -> Path | None:
        """The identity file; None when nothing is kept."""
        return None if self.backend == "memory" else Path(self.path).with_name("identity.json")

    @property
    def uploads_path(self) -> Path | None:
        """Where what is copied into containers is kept until they start; None when nothing is kept."""
        return None if self.backend == "memory" else Path(self.path).with_name("uploads")


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSettings:
    """The agent in every task."""

    port: int = _key(9111, "where agents listen; security groups must admit it", rule=rules.between(1, 65535))
    start_timeout_seconds: int = _key(
        300,
        "a task to which nobody gives a process for so long ends itself",
        rule=rules.between(1, _DAY_SECONDS),
    )
    reach_timeout_seconds: int = _key(
        60,
        "how long an agent may stay silent once ECS says that its task runs",
        rule=rules.between(1, _DAY_SECONDS),
    )
    linger_seconds: int = _key(
        30,
        "how long a task outlives its process, so that a restart finds it",
        rule=rules.between(0, _DAY_SECONDS),
    )
    repository: str = _key(
        "sockerless-agent",
        "ECR repository of the agent's image",
        rule=rules.matching(_REPOSITORY, "the name of an ECR repository", may_be_empty=False),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagesSettings:
    """Registries."""

    mirrors: Mapping[str, str] = _key(
        {}, "where to pull from, and to search, in place of a registry: its host = a URL", rule=rules.mirrors
    )
    insecure_registries: tuple[str, ...] = _key(
        (), "registries spoken to without TLS", rule=rules.each(rules.registry)
    )
    sources: Mapping[str, str] = _key(
        {},
        "where images are really pulled from, by Fargate too: the beginning of a name = what replaces it",
        rule=rules.sources,
    )
    resolve: Literal["always", "missing", "ttl"] = _key(
        "always", "when a pull asks the registry what a known tag means now"
    )
    resolve_ttl_seconds: int = _key(
        300, "for `ttl`: how long an answer is good for", rule=rules.between(1, 365 * _DAY_SECONDS)
    )
    credentials: Mapping[str, str] = _key(
        {}, "logins: registry = USER:PASSWORD", rule=rules.credentials, secret=True
    )
    secrets: Mapping[str, str] = _key(
        {},
        "logins for Fargate: a registry, or the beginning of a name = ARN of a Secrets Manager secret",
        rule=rules.secrets,
    )
    keep_credentials: bool = _key(
        False, "keep logins that pulls bring in Secrets Manager, for Fargate, while they are needed"
    )
    docker_config: str = _key("", "file with more logins, and credential helpers: Docker's config.json")
    repository: str = _key(
        "sockerless-images",
        "ECR repository of images that exist nowhere else: loaded, imported, committed",
        rule=rules.matching(_REPOSITORY, "the name of an ECR repository", may_be_empty=False),
    )
    scan_on_push: bool = _key(False, "have ECR scan what comes into that repository, if the daemon makes it")
    expire_days: int = _key(
        0,
        "have ECR delete what was pushed into that repository so long ago, in use or not; 0 = never",
        rule=rules.between(0, 100 * 365),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LogsSettings:
    """Containers' output."""

    tail_bytes: int = _key(
        1_048_576, "output kept of each container that has ended, in bytes", rule=rules.between(0, 1 << 40)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ShutdownSettings:
    """How the daemon ends."""

    grace_seconds: float = _key(
        10.0, "what requests and launches in flight get", rule=rules.between(0, _DAY_SECONDS)
    )
    containers: Literal["keep", "stop"] = _key("keep", "what becomes of running containers")


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """The daemon's own log, on stderr."""

    level: Literal["debug", "info", "warning", "error"] = _key("info", "the least that is logged")
    format: Literal["json", "console"] = _key("json", "json, or console for people")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The whole configuration; a value here has passed its key's rule."""

    ecs: EcsSettings
    listen: ListenSettings = ListenSettings()
    docker: ListenSettings = ListenSettings(socket="/var/run/sockerless.sock")
    store: StoreSettings = StoreSettings()
    agent: AgentSettings = AgentSettings()
    images: ImagesSettings = ImagesSettings()
    logs: LogsSettings = LogsSettings()
    shutdown: ShutdownSettings = ShutdownSettings()
    log: LogSettings = LogSettings()


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key of the schema."""

    section: str
    name: str
    type: Any
    default: object
    help: str
    rule: rules.Rule | None
    required: bool
    secret: bool

    @property
    def path(self) -> str:
        """`ecs.log_group`."""
        return f"{self.section}.{self.name}"

    @property
    def variable(self) -> str:
        """`SOCKERLESS_ECS_LOG_GROUP`."""
        return f"SOCKERLESS_{self.section}_{self.name}".upper()

    @property
    def flag(self) -> str:
        """`--ecs-log-group`."""
        return f"--{self.section}-{self.name}".replace("_", "-")

    @property
    def ways(self) -> str:
        """How to set it, to end a complaint with."""
        flag = f"{self.flag} or --no-{self.flag[2:]}" if self.type is bool else self.flag
        return f". Set it with {flag}, {self.variable}, or `{self.name}` under `{self.section}:` in the file"


@cache
def sections() -> Mapping[str, type]:
    """Section name → its class, in order."""
    return typing.get_type_hints(Settings)


@cache
def keys() -> Mapping[str, Key]:
    """Every key by its path, in order."""
    usual = {one.name: one.default for one in fields(Settings)}
    found = [
        _described(section, one, typing.get_type_hints(made)[one.name], usual[section])
        for section, made in sections().items()
        for one in fields(made)
    ]
    return {key.path: key for key in found}


def _described(section: str, one: Field[Any], kind: Any, usual: Any) -> Key:
    """A key; its default is that of the section's own default, where the section has one."""
    default = one.default if one.default_factory is MISSING else one.default_factory()
    default = default if usual is MISSING else getattr(usual, one.name)
    return Key(section=section, name=one.name, type=kind, default=default, **one.metadata)
