"""The services around ECS: EC2, ECR, EFS, STS, Cloud Map and Secrets Manager answer as a client expects."""

from __future__ import annotations

import base64

import httpx
import pytest

from tests.sandbox.aws.account import Account, eventually, refused


def test_ecr_names_the_sandboxs_registry(aws: Account) -> None:
    ecr = aws.client("ecr")
    repository = ecr.create_repository(repositoryName="team/agent", imageTagMutability="IMMUTABLE")[
        "repository"
    ]
    assert repository["repositoryUri"] == f"{aws.info.registry}/team/agent"
    with refused("RepositoryAlreadyExistsException"):
        ecr.create_repository(repositoryName="team/agent")
    with refused("RepositoryNotFoundException"):
        ecr.describe_repositories(repositoryNames=["team/other"])
    with refused("InvalidParameterException", "regular expression"):
        ecr.create_repository(repositoryName="Team")
    assert ecr.describe_repositories(repositoryNames=["team/agent"])["repositories"] == [repository]
    token = ecr.get_authorization_token()["authorizationData"][0]
    assert token["proxyEndpoint"] == f"http://{aws.info.registry}"
    user, _, password = base64.b64decode(token["authorizationToken"]).decode().partition(":")
    assert user == "AWS"
    assert httpx.get(f"{token['proxyEndpoint']}/v2/", auth=(user, password)).status_code == 200


def test_network_of_the_sandbox_exists_in_ec2(aws: Account) -> None:
    subnets = aws.ec2.describe_subnets(SubnetIds=list(aws.info.subnets))["Subnets"]
    assert len(subnets) == len(aws.info.subnets)
    group = aws.ec2.describe_security_groups(GroupIds=list(aws.info.security_groups))["SecurityGroups"][0]
    assert [(rule["FromPort"], rule["ToPort"]) for rule in group["IpPermissions"]] == [(9111, 9111)]
    with refused("InvalidGroup.NotFound"):
        aws.ec2.describe_security_groups(GroupIds=["sg-0123456789abcdef0"])
    with refused("InvalidParameterValue", "'Description'"):
        aws.ec2.create_security_group(GroupName="x")


def test_every_answer_has_a_request_id_of_its_own(aws: Account) -> None:
    calls = (
        aws.ecs.list_clusters,
        aws.ec2.describe_vpcs,
        aws.client("sts").get_caller_identity,
        aws.client("efs").describe_file_systems,
        aws.client("servicediscovery").list_namespaces,
        aws.client("secretsmanager").list_secrets,
    )
    ids = [call()["ResponseMetadata"]["RequestId"] for call in calls]
    assert len(set(ids)) == len(calls)


@pytest.mark.mode("rootless")
def test_access_point_is_a_folder_that_tasks_share(aws: Account) -> None:
    efs = aws.client("efs")
    point = efs.create_access_point(
        ClientToken="shared", FileSystemId=aws.info.efs_filesystem_id, RootDirectory={"Path": "/data"}
    )["AccessPointId"]
    volume = {
        "name": "data",
        "efsVolumeConfiguration": {
            "fileSystemId": aws.info.efs_filesystem_id,
            "transitEncryption": "ENABLED",
            "authorizationConfig": {"accessPointId": point, "iam": "DISABLED"},
        },
    }
    mount = {"sourceVolume": "data", "containerPath": "/mnt"}

    def run(script: str) -> str:
        arn = aws.run(aws.register(aws.container(script, mountPoints=[mount]), volumes=[volume]))
        assert aws.until(arn, "STOPPED")["containers"][0]["exitCode"] == 0
        return arn

    run("echo kept > /mnt/file")
    reader = run("cat /mnt/file")
    assert eventually(lambda: aws.lines(reader)) == ["kept"]


def test_secrets_and_namespaces_work(aws: Account) -> None:
    secrets = aws.client("secretsmanager")
    secrets.create_secret(Name="login", SecretString="hush")
    assert secrets.get_secret_value(SecretId="login")["SecretString"] == "hush"
    with refused("ResourceNotFoundException"):
        secrets.get_secret_value(SecretId="other")
    vpc = aws.ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    discovery = aws.client("servicediscovery")
    operation = discovery.create_private_dns_namespace(Name="sockerless.local", Vpc=vpc)["OperationId"]
    eventually(lambda: discovery.get_operation(OperationId=operation)["Operation"]["Status"] == "SUCCESS")
