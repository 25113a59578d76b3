"""The embedded AWS, put together: runner, registry, services, front door."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sockerless_ecs.errors import InvalidParameter
from sockerless_ecs.sandbox.clock import Clock
from sockerless_ecs.sandbox.ecr import Ecr
from sockerless_ecs.sandbox.ecs.definitions import Definitions
from sockerless_ecs.sandbox.ecs.launch import Launcher, Surroundings
from sockerless_ecs.sandbox.ecs.life import Life, Pace
from sockerless_ecs.sandbox.ecs.look import Looks
from sockerless_ecs.sandbox.ecs.run import Runs
from sockerless_ecs.sandbox.ecs.service import Ecs
from sockerless_ecs.sandbox.ecs.table import Table
from sockerless_ecs.sandbox.faults import Faults
from sockerless_ecs.sandbox.front import Front
from sockerless_ecs.sandbox.logs.driver import AwsLogs
from sockerless_ecs.sandbox.logs.service import Logs
from sockerless_ecs.sandbox.logs.store import LogStore
from sockerless_ecs.sandbox.mocked import Mocked, create_file_system, ec2_backend, secret_value
from sockerless_ecs.sandbox.network import Network
from sockerless_ecs.sandbox.options import CLUSTER, REGION, SandboxInfo, SandboxOptions
from sockerless_ecs.sandbox.rates import Rates
from sockerless_ecs.sandbox.registry import Registry
from sockerless_ecs.sandbox.routes import Routes
from sockerless_ecs.sandbox.runner.client import Mode, Runner
from sockerless_ecs.sandbox.server import Server
from sockerless_ecs.sandbox.wire.call import ACCOUNT
from sockerless_ecs.sandbox.wire.models import Models

_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fargate:
    """ECS and what it runs tasks with."""

    ecs: Ecs
    table: Table
    life: Life
    logs: LogStore
    faults: Faults


@contextmanager
def cloud(options: SandboxOptions, state: Path) -> Iterator[SandboxInfo]:
    """An AWS that answers while the context lasts; afterwards every task and thread of it is gone."""
    with ExitStack() as stack:
        runner = stack.enter_context(Runner(state / "runner", mode=_mode(options.mode)))
        registry = Registry(state / "registry")
        registry_port = registry.serve()
        stack.callback(registry.close)
        server = Server()
        stack.callback(server.server_close)
        for port in (server.server_port, registry_port):
            runner.expose(port)
        network = Network(ec2_backend(REGION), runner)
        surroundings = Surroundings(
            region=REGION, metadata_url=f"http://{runner.gateway}:{server.server_port}", volumes=state / "efs"
        )
        launcher = Launcher(runner, registry, surroundings, partial(secret_value, REGION))
        fargate = _fargate(stack, options, runner, launcher, network)
        registry_address = f"127.0.0.1:{registry_port}"
        front = _front(options, fargate, network, registry_address)
        routes = Routes(front=front, faults=fargate.faults, table=fargate.table, life=fargate.life)
        server.handlers = (routes.answer, front.answer)
        stack.callback(server.shutdown)
        threading.Thread(target=server.serve_forever, args=(_POLL_SECONDS,), name="aws", daemon=True).start()
        threading.Thread(target=fargate.life.listen, name="events", daemon=True).start()
        yield SandboxInfo(
            endpoint_url=f"http://127.0.0.1:{server.server_port}",
            region=REGION,
            cluster=CLUSTER,
            subnets=tuple(network.subnets),
            security_groups=(network.agents_group,),
            execution_role_arn=f"arn:aws:iam::{ACCOUNT}:role/sandbox-execution",
            task_role_arn=f"arn:aws:iam::{ACCOUNT}:role/sandbox-task",
            efs_filesystem_id=create_file_system(REGION, network.subnets, network.default_group()),
            registry=registry_address,
            mode=str(runner.mode),
            limits=tuple(runner.limits),
            pid=os.getpid(),
            state_dir=state,
        )


def _fargate(
    stack: ExitStack, options: SandboxOptions, runner: Runner, launcher: Launcher, network: Network
) -> _Fargate:
    table, faults, logs = Table(REGION), Faults(), LogStore(REGION, options.log_bytes)
    table.create_cluster(CLUSTER)
    clock = Clock()
    stack.callback(clock.close)
    driver = AwsLogs(logs, runner, delay_seconds=options.log_delay_seconds)
    stack.callback(driver.stop)
    pace = Pace(
        provision_seconds=options.provision_seconds,
        stop_seconds=options.stop_seconds,
        stopped_task_seconds=options.stopped_task_seconds,
    )
    life = Life(table=table, clock=clock, runner=runner, launcher=launcher, logs=driver, pace=pace)
    stack.callback(life.close)
    definitions = Definitions(REGION)
    ecs = Ecs(
        table=table,
        definitions=definitions,
        runs=Runs(table, definitions, network, life.begin),
        looks=Looks(table, faults.lag(options.describe_lag_seconds)),
        life=life,
    )
    return _Fargate(ecs=ecs, table=table, life=life, logs=logs, faults=faults)


def _front(options: SandboxOptions, fargate: _Fargate, network: Network, registry: str) -> Front:
    return Front(
        models=Models(),
        rates=Rates(enforced=options.rate_limits),
        faults=fargate.faults,
        operations={
            "ecs": fargate.ecs.operations,
            "logs": Logs(fargate.logs).operations,
            "ecr": Ecr(REGION, registry).operations,
        },
        mocked=Mocked(),
        network=network,
        table=fargate.table,
    )


def _mode(name: str | None) -> Mode | None:
    if name is not None and name not in set(Mode):
        raise InvalidParameter(f"there is no mode {name!r}: it is one of {', '.join(Mode)}")
    return Mode(name) if name else None
