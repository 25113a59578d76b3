"""Where tasks run: images from the registry, security groups that separate, memory that ends, every mode."""

from __future__ import annotations

import platform
import socket
import time
from pathlib import Path
from typing import Any

import pytest
import trio

from sockerless_ecs.registry import RegistryClient
from sockerless_ecs.sandbox.launch import SandboxOptions
from tests.e2e.world import running_cloud
from tests.images import go_program, image, push
from tests.sandbox.aws.account import FOREVER, Account, eventually

_TOOL = Path(__file__).parent.parent / "tool"


@pytest.fixture(scope="session")
def tool(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The static program that containers of these tests run."""
    return go_program(_TOOL, tmp_path_factory.mktemp("tool") / "tool")


async def _no_login(_registry: str, _refused: str) -> None:
    """The push brings its own."""


def pushed(account: Account, repository: str, built: Any) -> str:
    """Push an image to the sandbox's registry; its digest."""

    async def main() -> str:
        async with RegistryClient({}, (), _no_login) as client:
            return await push(client, f"{account.info.registry}/{repository}:latest", built)

    return trio.run(main)


def address(task: dict[str, Any]) -> str:
    """The private address of a task."""
    details = {item["name"]: item["value"] for item in task["attachments"][0]["details"]}
    return str(details["privateIPv4Address"])


def answers(host: str, port: int) -> bool:
    """Whether a task speaks there: rootless, a relay accepts connections that it then cannot pass on."""
    try:
        with socket.create_connection((host, port), timeout=0.5) as connection:
            return bool(connection.recv(1))
    except OSError:
        return False


def test_image_of_ecr_runs_by_digest_with_its_own_configuration(aws: Account, tool: bytes) -> None:
    built = image({"tool": tool}, {"Entrypoint": ["/tool"], "Cmd": ["env"], "Env": ["FROM_IMAGE=1"]})
    repository = aws.client("ecr").create_repository(repositoryName="tests/tool")["repository"]
    digest = pushed(aws, "tests/tool", built)
    container = {
        "name": "main",
        "image": f"{repository['repositoryUri']}@{digest}",
        "logConfiguration": aws.logging,
    }
    arn = aws.run(aws.register(container))
    task = aws.until(arn, "STOPPED")
    assert task["containers"][0]["exitCode"] == 0, task
    architecture = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
    assert task["containers"][0]["imageDigest"] in built.manifests, architecture
    assert "FROM_IMAGE=1" in eventually(lambda: aws.lines(arn))


def test_task_of_another_architecture_cannot_start(aws: Account) -> None:
    other = "X86_64" if platform.machine() == "aarch64" else "ARM64"
    arn = aws.run(aws.register(runtimePlatform={"cpuArchitecture": other, "operatingSystemFamily": "LINUX"}))
    task = aws.until(arn, "STOPPED")
    assert task["stopCode"] == "TaskFailedToStart"
    assert "exec format error" in task["stoppedReason"]


@pytest.mark.mode("full")
def test_container_that_wants_too_much_memory_is_killed_and_it_is_said(aws: Account, tool: bytes) -> None:
    if any(limit.startswith("Memory is not limited") for limit in aws.info.limits):
        pytest.skip("needs full mode: no memory cgroup")
    digest = pushed(aws, "tests/memory", image({"tool": tool}))
    container = {
        "name": "main",
        "image": f"{aws.info.registry}/tests/memory@{digest}",
        "entryPoint": ["/tool"],
        "command": ["alloc", "700"],
    }
    main = aws.until(aws.run(aws.register(container)), "STOPPED")["containers"][0]
    assert main["exitCode"] == 137
    assert main["reason"] == "OutOfMemoryError: Container killed due to memory usage"


@pytest.mark.mode("rootless")
def test_security_group_opens_and_closes_the_agents_port(aws: Account, tool: bytes) -> None:
    digest = pushed(aws, "tests/listener", image({"tool": tool}))
    vpc = aws.ec2.describe_subnets(SubnetIds=list(aws.info.subnets)[:1])["Subnets"][0]["VpcId"]
    closed = aws.ec2.create_security_group(GroupName="closed", Description="x", VpcId=vpc)["GroupId"]
    container = {
        "name": "main",
        "image": f"{aws.info.registry}/tests/listener@{digest}",
        "entryPoint": ["/tool"],
        "command": ["on-term", "143", ";", "listen", ":9111", ";", "sleep", "600"],
        "stopTimeout": 2,
    }
    definition = aws.register(container)
    request = aws.request(definition)
    open_task = aws.until(aws.run(definition), "RUNNING")
    request["networkConfiguration"]["awsvpcConfiguration"]["securityGroups"] = [closed]
    closed_task = aws.until(aws.ecs.run_task(**request)["tasks"][0]["taskArn"], "RUNNING")
    eventually(lambda: answers(address(open_task), 9111))
    assert not answers(address(closed_task), 9111)
    rule = {"IpProtocol": "tcp", "FromPort": 9111, "ToPort": 9111, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    aws.ec2.authorize_security_group_ingress(GroupId=closed, IpPermissions=[rule])
    eventually(lambda: answers(address(closed_task), 9111))
    aws.ec2.revoke_security_group_ingress(GroupId=closed, IpPermissions=[rule])
    eventually(lambda: not answers(address(closed_task), 9111))
    for task in (open_task, closed_task):
        aws.stop(task["taskArn"])


def test_task_asks_its_metadata_endpoint_who_it_is(aws: Account) -> None:
    script = (
        'exec python3 -c "import os,urllib.request as u;'
        "print(u.urlopen(os.environ['ECS_CONTAINER_METADATA_URI_V4']+'/task').read().decode())\""
    )
    arn = aws.start(script)
    aws.until(arn, "STOPPED")
    assert arn in eventually(lambda: "".join(aws.lines(arn)))


@pytest.mark.parametrize(
    "mode", [pytest.param(name, marks=pytest.mark.mode(name)) for name in ("full", "rootless", "bare")]
)
def test_agent_is_installed_and_reached_in_every_mode(mode: str, tool: bytes) -> None:
    """The daemon's own kind of definition: an init container copies a program, the main one runs it."""
    options = SandboxOptions(provision_seconds=0, stop_seconds=0, log_delay_seconds=0.1, mode=mode)
    with running_cloud(options) as cloud:
        account = Account(cloud)
        assert account.info.mode == mode
        agent = pushed(account, "tests/agent", image({"tool": tool}))
        mount = {"sourceVolume": "sockerless", "containerPath": "/.sockerless"}
        init = {
            "name": "sockerless-init",
            "image": f"{account.info.registry}/tests/agent@{agent}",
            "essential": False,
            "command": ["/tool", "install", "/.sockerless/agent"],
            "mountPoints": [mount],
        }
        main = account.container(
            image="docker.io/library/host:latest",
            entryPoint=["/.sockerless/agent"],
            command=["on-term", "143", ";", "listen-agent", ";", "sleep", "600"],
            mountPoints=[mount],
            dependsOn=[{"containerName": "sockerless-init", "condition": "SUCCESS"}],
        )
        task = account.until(
            account.run(account.register(init, main, volumes=[{"name": "sockerless"}])), "RUNNING"
        )
        assert task["lastStatus"] == "RUNNING", task
        eventually(lambda: answers(address(task), 9111))
        account.stop(task["taskArn"])


def test_a_hundred_tasks_at_once_all_run(aws: Account) -> None:
    definition = aws.register(aws.container(FOREVER, stopTimeout=1))
    began = time.monotonic()
    arns = [
        task["taskArn"]
        for _ in range(10)
        for task in aws.ecs.run_task(**aws.request(definition, count=10))["tasks"]
    ]

    def described() -> list[str]:
        answer = aws.ecs.describe_tasks(cluster=aws.info.cluster, tasks=arns)
        return [task["lastStatus"] for task in answer["tasks"]]

    eventually(lambda: described() == ["RUNNING"] * 100, every_seconds=0.1)
    assert time.monotonic() - began < 20
    for arn in arns:
        aws.ecs.stop_task(cluster=aws.info.cluster, task=arn)
    eventually(lambda: described() == ["STOPPED"] * 100, every_seconds=0.1)
    assert not set(arns) & set(aws.cloud.state()["live_tasks"])
