"""Every AWS operation the daemon may call, and the rate it may call it at."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

# Rule 1: only what is here is called; the IAM policy that ships with the daemon is checked against it.
# Rule 2: everything here is safe to repeat after a lost answer: by a client token, because a second effect
# changes nothing, or because the caller takes "exists already" for success.


@dataclass(frozen=True, slots=True)
class Rate:
    """A token bucket: how many calls at once, and how many a second after that."""

    burst: int
    per_second: float


RATES: Mapping[str, Rate] = {
    # RunTask alone has 20/20 on Fargate; with StopTask and ExecuteCommand it shares 100/40.
    "launches": Rate(20, 20),
    "stops": Rate(80, 20),
    "task reads": Rate(100, 20),
    "definitions": Rate(20, 1),
    "cluster reads": Rate(50, 20),
    # 25 a second in most regions, 10 in the others; a throttled answer slows it further.
    "log reads": Rate(25, 10),
    "log groups": Rate(10, 5),
    "registry": Rate(10, 5),
    "network reads": Rate(50, 10),
    "file systems": Rate(10, 5),
    "secret reads": Rate(100, 100),
    # 50 a second of each.
    "secrets": Rate(25, 10),
    "identity": Rate(10, 5),
}
"""What an account may do in one region, by bucket; spent here so that a burst queues instead of failing."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One AWS operation."""

    service: str
    """The client it is called on, as boto3 names it."""
    name: str
    reads_only: bool
    """Whether abandoning it half-way loses nothing."""
    bucket: str
    """Its key in `RATES`."""
    iam: tuple[str, ...] = ()
    """The IAM actions it needs, in AWS's spelling."""
    quota: str = ""
    """The service quota that can refuse it."""

    def __str__(self) -> str:
        """What failures and logs call it."""
        return f"{self.service}: {self.name}"

    @property
    def method(self) -> str:
        """The name of boto3's method."""
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", self.name).lower()


DESCRIBE_CLUSTERS = Operation("ecs", "DescribeClusters", True, "cluster reads", iam=("ecs:DescribeClusters",))
REGISTER_TASK_DEFINITION = Operation(
    "ecs",
    "RegisterTaskDefinition",
    False,
    "definitions",
    iam=("ecs:RegisterTaskDefinition", "ecs:TagResource", "iam:PassRole"),
    quota="Revisions per task definition family",
)
LIST_TASK_DEFINITIONS = Operation(
    "ecs", "ListTaskDefinitions", True, "cluster reads", iam=("ecs:ListTaskDefinitions",)
)
RUN_TASK = Operation(
    "ecs",
    "RunTask",
    False,
    "launches",
    iam=("ecs:RunTask", "ecs:TagResource", "iam:PassRole"),
    quota="Fargate On-Demand (or Spot) vCPU resource count",
)
DESCRIBE_TASKS = Operation("ecs", "DescribeTasks", True, "task reads", iam=("ecs:DescribeTasks",))
LIST_TASKS = Operation("ecs", "ListTasks", True, "task reads", iam=("ecs:ListTasks",))
STOP_TASK = Operation("ecs", "StopTask", False, "stops", iam=("ecs:StopTask",))

DESCRIBE_LOG_GROUPS = Operation(
    "logs", "DescribeLogGroups", True, "log groups", iam=("logs:DescribeLogGroups",)
)
CREATE_LOG_GROUP = Operation(
    "logs",
    "CreateLogGroup",
    False,
    "log groups",
    iam=("logs:CreateLogGroup", "logs:TagResource"),
    quota="Log groups",
)
PUT_RETENTION_POLICY = Operation(
    "logs", "PutRetentionPolicy", False, "log groups", iam=("logs:PutRetentionPolicy",)
)
GET_LOG_EVENTS = Operation("logs", "GetLogEvents", True, "log reads", iam=("logs:GetLogEvents",))

GET_AUTHORIZATION_TOKEN = Operation(
    "ecr", "GetAuthorizationToken", True, "registry", iam=("ecr:GetAuthorizationToken",)
)
DESCRIBE_REPOSITORIES = Operation(
    "ecr", "DescribeRepositories", True, "registry", iam=("ecr:DescribeRepositories",)
)
CREATE_REPOSITORY = Operation(
    "ecr",
    "CreateRepository",
    False,
    "registry",
    iam=("ecr:CreateRepository", "ecr:TagResource"),
    quota="Registered repositories",
)
PUT_LIFECYCLE_POLICY = Operation(
    "ecr", "PutLifecyclePolicy", False, "registry", iam=("ecr:PutLifecyclePolicy",)
)

DESCRIBE_SUBNETS = Operation("ec2", "DescribeSubnets", True, "network reads", iam=("ec2:DescribeSubnets",))
DESCRIBE_SECURITY_GROUPS = Operation(
    "ec2", "DescribeSecurityGroups", True, "network reads", iam=("ec2:DescribeSecurityGroups",)
)

DESCRIBE_FILE_SYSTEMS = Operation(
    "efs", "DescribeFileSystems", True, "file systems", iam=("elasticfilesystem:DescribeFileSystems",)
)

DESCRIBE_SECRET = Operation(
    "secretsmanager", "DescribeSecret", True, "secret reads", iam=("secretsmanager:DescribeSecret",)
)
CREATE_SECRET = Operation(
    "secretsmanager",
    "CreateSecret",
    False,
    "secrets",
    iam=("secretsmanager:CreateSecret", "secretsmanager:TagResource"),
    quota="Secrets count",
)
PUT_SECRET_VALUE = Operation(
    "secretsmanager",
    "PutSecretValue",
    False,
    "secrets",
    iam=("secretsmanager:PutSecretValue",),
    quota="Secret versions, of which those of the last 24 hours are kept",
)
RESTORE_SECRET = Operation(
    "secretsmanager", "RestoreSecret", False, "secrets", iam=("secretsmanager:RestoreSecret",)
)
DELETE_SECRET = Operation(
    "secretsmanager", "DeleteSecret", False, "secrets", iam=("secretsmanager:DeleteSecret",)
)

GET_CALLER_IDENTITY = Operation("sts", "GetCallerIdentity", True, "identity")
