"""The long-running services and what they share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sockerless_ecs import agent, aws
from sockerless_ecs.model.container import Task
from sockerless_ecs.rooms.ground import Ground
from sockerless_ecs.services.definitions import Definitions, Template
from sockerless_ecs.services.events import EventBus
from sockerless_ecs.services.janitor import Janitor
from sockerless_ecs.services.kept_logins import KeptLogins
from sockerless_ecs.services.launcher import Launcher
from sockerless_ecs.services.meeting import Meeting
from sockerless_ecs.services.placing import Placing
from sockerless_ecs.services.plain import Plain
from sockerless_ecs.services.preparing import Preparer
from sockerless_ecs.services.publisher import Publisher
from sockerless_ecs.services.pull_secrets import PullSecrets
from sockerless_ecs.services.remover import Remover
from sockerless_ecs.services.requests import Place
from sockerless_ecs.services.restarts import Restarts
from sockerless_ecs.services.supervisor import Supervisor
from sockerless_ecs.services.tails import Tails
from sockerless_ecs.services.uploads import Uploads
from sockerless_ecs.services.watcher import TaskWatcher


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What the engine acts through."""

    bus: EventBus
    watcher: TaskWatcher
    tails: Tails
    janitor: Janitor
    pull_secrets: PullSecrets
    kept_logins: KeptLogins
    uploads: Uploads
    remover: Remover
    restarts: Restarts
    supervisor: Supervisor
    publisher: Publisher
    place: Place
    definitions: Definitions
    launcher: Launcher


def build_services(ground: Ground) -> Services:
    """Build them; none of them runs yet."""
    settings, ledger, ecs, connect = ground.settings, ground.ledger, ground.ecs, _connector(ground)
    bus = EventBus()
    watcher = TaskWatcher(ecs.describe_tasks)
    tails = Tails(ground.services, settings.logs.tail_bytes)
    pull_secrets = PullSecrets(
        settings.images.secrets,
        keeps_logins=settings.images.keep_credentials,
        is_ecr=ground.ecr.serves,
    )
    kept_logins = KeptLogins(
        ledger=ledger,
        secrets=aws.Secrets(ground.calls),
        rules=pull_secrets,
        instance_id=ground.identity.instance_id,
        tags=settings.ecs.tags,
        add_job=lambda job: janitor.add(job),  # noqa: PLW0108 - there is no janitor yet
    )
    janitor = Janitor(ledger=ledger, ecs=ecs, started_by=ground.started_by, drop_secret=kept_logins.drop)
    uploads = Uploads(ledger=ledger, files=agent.files, folder=settings.store.uploads_path)
    remover = Remover(ledger=ledger, janitor=janitor, bus=bus, tails=tails, uploads=uploads)
    restarts = Restarts(
        nursery=ground.services,
        ledger=ledger,
        begin=lambda live: launcher.begin(live, by_policy=True),
    )
    supervisor = Supervisor(
        nursery=ground.services,
        ledger=ledger,
        watcher=watcher,
        bus=bus,
        tails=tails,
        remover=remover,
        restarts=restarts,
        connect=connect,
    )
    publisher = Publisher(
        ecr=ground.ecr,
        registry=ground.registry,
        repository=settings.agent.repository,
        tags=settings.ecs.tags,
    )
    place = _place(ground)
    definitions = Definitions(
        ledger=ledger, ecs=ecs, template=_template(ground), agent_image=publisher.reference
    )
    placing = Placing(
        ledger=ledger,
        ecs=ecs,
        supervisor=supervisor,
        janitor=janitor,
        definitions=definitions,
        meeting=Meeting(watcher=watcher, connect=connect, place=place, pull_secrets=pull_secrets),
        place=place,
    )
    launcher = Launcher(
        jobs=ground.jobs,
        ledger=ledger,
        supervisor=supervisor,
        janitor=janitor,
        placing=placing,
        preparer=Preparer(jobs=ground.jobs, ledger=ledger, placing=placing, janitor=janitor, uploads=uploads),
        uploads=uploads,
        place=place,
        restarts=restarts,
        plain=Plain(
            ledger=ledger,
            watcher=watcher,
            supervisor=supervisor,
            placing=placing,
            pull_secrets=pull_secrets,
        ),
    )
    return Services(
        bus=bus,
        watcher=watcher,
        tails=tails,
        janitor=janitor,
        pull_secrets=pull_secrets,
        kept_logins=kept_logins,
        uploads=uploads,
        remover=remover,
        restarts=restarts,
        supervisor=supervisor,
        publisher=publisher,
        place=place,
        definitions=definitions,
        launcher=launcher,
    )


def _connector(ground: Ground) -> Callable[[Task], agent.AgentClient]:
    context = agent.client_context(ground.identity.certificate_pem, ground.identity.key_pem)
    port = ground.settings.agent.port

    def connect(task: Task) -> agent.AgentClient:
        assert task.agent_address is not None
        token = bytes.fromhex(task.agent_token)
        return agent.AgentClient(task.agent_address, port, token, context, ground.services)

    return connect


def _template(ground: Ground) -> Template:
    settings = ground.settings
    return Template(
        execution_role_arn=settings.ecs.execution_role_arn,
        task_role_arn=settings.ecs.task_role_arn,
        log_group=settings.ecs.log_group,
        log_mode=settings.ecs.log_mode,
        region=settings.ecs.region,
        client_key_sha256=ground.identity.public_key_sha256,
        agent_port=settings.agent.port,
        start_timeout_seconds=settings.agent.start_timeout_seconds,
        tags=settings.ecs.tags,
    )


def _place(ground: Ground) -> Place:
    settings = ground.settings
    return Place(
        cluster=settings.ecs.cluster,
        subnets=settings.ecs.subnets,
        security_groups=settings.ecs.security_groups,
        assign_public_ip=settings.ecs.assign_public_ip,
        capacity_provider=settings.ecs.capacity_provider,
        platform_version=settings.ecs.platform_version,
        started_by=ground.started_by,
        tags=settings.ecs.tags,
        default_cpu_units=ground.default_cpu_units,
        default_memory_mib=settings.ecs.default_memory_mib,
        agent_port=settings.agent.port,
        linger_seconds=settings.agent.linger_seconds,
        reach_seconds=settings.agent.reach_timeout_seconds,
    )
