"""The room against moto, over the wire."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

import boto3
import pytest

from sockerless_ecs.aws.calls import Calls
from sockerless_ecs.aws.checks import CloudSetup, problems
from sockerless_ecs.aws.ec2 import Ec2
from sockerless_ecs.aws.ecr import Ecr
from sockerless_ecs.aws.ecs import Ecs
from sockerless_ecs.aws.efs import Efs
from sockerless_ecs.aws.identity import Identity
from sockerless_ecs.aws.logs import Logs
from sockerless_ecs.errors import NotFound
from tests.aws.test_aws_ecs import DEFINITION


@pytest.fixture
def client(moto_url: str) -> Any:
    """Makes what an operator would have made."""
    return lambda service: boto3.client(service, region_name="us-east-1", endpoint_url=moto_url)


async def test_cluster_has_a_status_or_is_missing(moto: Calls, client: Any) -> None:
    client("ecs").create_cluster(clusterName="there")
    assert await Ecs(moto, "there").describe_cluster() == "ACTIVE"
    assert await Ecs(moto, "nowhere").describe_cluster() is None


async def test_registered_definition_is_found_by_its_family(moto: Calls) -> None:
    ecs = Ecs(moto, "any")
    definition = replace(DEFINITION, image="registry/found@sha256:3")
    assert await ecs.find_task_definition(definition.family) is None
    first = await ecs.register_task_definition(definition, {"owner": "me"})
    second = await ecs.register_task_definition(definition, {})
    assert first.endswith(f"{definition.family}:1")
    # Revisions of one family have the same content: which one is found does not matter.
    assert await ecs.find_task_definition(definition.family) in (first, second)


async def test_missing_log_group_is_made_with_its_retention_and_tags(moto: Calls, client: Any) -> None:
    logs = Logs(moto)
    client("logs").create_log_group(logGroupName="/made/longer")
    assert await logs.ensure_log_group("/made", 14, {"owner": "me", "bad": "{}"}) is True
    assert await logs.ensure_log_group("/made", 14, {}) is False
    [group] = [
        group
        for group in client("logs").describe_log_groups(logGroupNamePrefix="/made")["logGroups"]
        if group["logGroupName"] == "/made"
    ]
    assert group["retentionInDays"] == 14
    assert client("logs").list_tags_log_group(logGroupName="/made")["tags"] == {"owner": "me"}


async def test_every_event_is_read_page_by_page_until_the_token_comes_back(moto: Calls, client: Any) -> None:
    logs, wire = Logs(moto), client("logs")
    wire.create_log_group(logGroupName="/g")
    wire.create_log_stream(logGroupName="/g", logStreamName="s")
    began = int(time.time() * 1000)
    for start in range(0, 12_000, 6000):
        wire.put_log_events(
            logGroupName="/g",
            logStreamName="s",
            logEvents=[
                {"timestamp": began + number, "message": f"line {number}"}
                for number in range(start, start + 6000)
            ],
        )
    page = await logs.events("/g", "s")
    assert (len(page.events), page.last) == (10_000, False)
    read = list(page.events)
    while not page.last:
        page = await logs.events("/g", "s", token=page.next_token)
        read += page.events
    assert [event.message for event in read] == [f"line {number}" for number in range(12_000)]
    assert read[0].time_ms == began
    wire.put_log_events(
        logGroupName="/g", logStreamName="s", logEvents=[{"timestamp": began + 12_000, "message": "late"}]
    )
    page = await logs.events("/g", "s", token=page.next_token)
    assert [event.message for event in page.events] == ["late"]


async def test_newest_events_and_times_can_be_asked_for(moto: Calls, client: Any) -> None:
    logs, wire = Logs(moto), client("logs")
    wire.create_log_group(logGroupName="/t")
    wire.create_log_stream(logGroupName="/t", logStreamName="s")
    began = int(time.time() * 1000)
    events = [{"timestamp": began + number, "message": str(number)} for number in range(10)]
    wire.put_log_events(logGroupName="/t", logStreamName="s", logEvents=events)
    page = await logs.events("/t", "s", since_ms=began + 3, until_ms=began + 5)
    assert [event.message for event in page.events][:2] == ["3", "4"]
    page = await logs.events("/t", "s", from_start=False)
    assert page.events[-1].message == "9"


async def test_stream_that_does_not_exist_yet_is_not_found(moto: Calls, client: Any) -> None:
    client("logs").create_log_group(logGroupName="/empty")
    with pytest.raises(NotFound, match=r"^logs: GetLogEvents: ResourceNotFoundException: "):
        await Logs(moto).events("/empty", "sockerless/main/1")


async def test_registry_login_is_basic_and_hides_its_password(moto: Calls) -> None:
    login = await Ecr(moto).authorization()
    assert login.username == "AWS"
    assert login.password
    assert login.password not in repr(login)
    assert login.endpoint.startswith("https://")


async def test_repository_is_made_once(moto: Calls) -> None:
    ecr = Ecr(moto)
    uri = await ecr.ensure_repository("sockerless/agent", {"owner": "me"})
    assert uri.endswith("/sockerless/agent")
    assert await ecr.ensure_repository("sockerless/agent", {}) == uri


async def test_caller_is_told(moto: Calls) -> None:
    caller = await Identity(moto).caller()
    assert caller.account == "123456789012"
    assert caller.arn.startswith("arn:aws:")


async def test_file_system_exists_or_not(moto: Calls, client: Any) -> None:
    made = client("efs").create_file_system(CreationToken="t")["FileSystemId"]
    found = await Efs(moto).file_system(made)
    assert found is not None
    assert (found.id, found.state, found.mount_targets) == (made, "available", 0)
    assert await Efs(moto).file_system("fs-0123456789abcdef0") is None


class Vpc:
    """A VPC with one subnet and one group, made with an operator's hands."""

    def __init__(self, ec2: Any) -> None:
        self._ec2 = ec2
        self.id: str = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
        made = ec2.create_subnet(VpcId=self.id, CidrBlock="10.9.1.0/24", AvailabilityZone="us-east-1a")
        self.subnet: str = made["Subnet"]["SubnetId"]
        self.group: str = ec2.create_security_group(GroupName="g", Description="g", VpcId=self.id)["GroupId"]

    def admit(self, **rule: Any) -> None:
        self._ec2.authorize_security_group_ingress(GroupId=self.group, IpPermissions=[rule])


async def test_security_group_tells_who_may_reach_a_port_and_whether_it_admits_itself(
    moto: Calls, client: Any
) -> None:
    vpc = Vpc(client("ec2"))
    ec2 = Ec2(moto)
    [group] = await ec2.security_groups([vpc.group, "sg-0123456789abcdef0"])
    assert (group.id, group.vpc) == (vpc.group, vpc.id)
    assert group.admits(9111) == ()
    assert not group.admits_itself
    vpc.admit(IpProtocol="tcp", FromPort=9000, ToPort=9200, IpRanges=[{"CidrIp": "10.0.0.0/8"}])
    vpc.admit(IpProtocol="udp", FromPort=0, ToPort=65535, IpRanges=[{"CidrIp": "10.1.0.0/16"}])
    vpc.admit(IpProtocol="-1", UserIdGroupPairs=[{"GroupId": vpc.group}])
    [group] = await ec2.security_groups([vpc.group])
    assert set(group.admits(9111)) == {"10.0.0.0/8", vpc.group}
    assert group.admits(8999) == (vpc.group,)
    assert group.admits_itself
    [subnet] = await ec2.subnets([vpc.subnet, "subnet-0123456789abcdef0"])
    assert (subnet.id, subnet.vpc, subnet.zone) == (vpc.subnet, vpc.id, "us-east-1a")


async def test_set_up_that_is_whole_has_no_problems_and_gets_its_log_group(moto: Calls, client: Any) -> None:
    vpc = Vpc(client("ec2"))
    vpc.admit(IpProtocol="tcp", FromPort=9111, ToPort=9111, IpRanges=[{"CidrIp": "10.0.0.0/8"}])
    client("ecs").create_cluster(clusterName="whole")
    made = client("efs").create_file_system(CreationToken="whole")["FileSystemId"]
    client("efs").create_mount_target(FileSystemId=made, SubnetId=vpc.subnet)
    setup = CloudSetup(
        cluster="whole",
        subnets=[vpc.subnet],
        security_groups=[vpc.group],
        agent_port=9111,
        log_group="/whole",
        log_retention_days=7,
        efs_filesystem_id=made,
    )
    assert await problems(moto, setup) == []
    assert await Logs(moto).ensure_log_group("/whole", 7, {}) is False


async def test_each_thing_that_is_missing_is_one_sentence_with_its_fix(moto: Calls, client: Any) -> None:
    vpc, other = Vpc(client("ec2")), Vpc(client("ec2"))
    vpc.admit(IpProtocol="tcp", FromPort=2049, ToPort=2049, UserIdGroupPairs=[{"GroupId": vpc.group}])
    setup = CloudSetup(
        cluster="absent",
        subnets=[other.subnet, "subnet-0123456789abcdef0"],
        security_groups=[vpc.group, "sg-0123456789abcdef0"],
        agent_port=9111,
        log_group="",
        log_retention_days=7,
        efs_filesystem_id="fs-0123456789abcdef0",
    )
    found = await problems(moto, setup)
    expected = [
        "The ECS cluster 'absent' does not exist",
        "The subnet 'subnet-0123456789abcdef0' does not exist",
        "The security group 'sg-0123456789abcdef0' does not exist",
        "The subnets and security groups belong to different VPCs",
        f"No security group of {vpc.group} admits TCP port 9111",
        f"The security group {vpc.group} admits itself",
        "Could not be checked: logs: DescribeLogGroups: ParamValidationError: ",
        "The EFS file system 'fs-0123456789abcdef0' does not exist",
    ]
    assert [
        sentence for sentence, start in zip(found, expected, strict=True) if sentence.startswith(start)
    ] == (found), json.dumps(found, indent=1)
