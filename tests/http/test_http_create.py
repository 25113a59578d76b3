"""Every field of a create is judged: honoured, 501, 400 or a warning, and never ignored in silence."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from sockerless_ecs.errors import InvalidParameter, Unimplemented
from sockerless_ecs.http.bodies import decode
from sockerless_ecs.http.create import create_request, unknown_fields, update_request
from sockerless_ecs.http.create_fields import CONFIG, ENDPOINT, HOST_CONFIG
from sockerless_ecs.http.shapes.create import CreateBody, EndpointBody, HostConfigBody
from sockerless_ecs.model.container import (
    ContainerConfig,
    ContainerUpdate,
    CreateRequest,
    Healthcheck,
    HostConfig,
    RestartPolicy,
    Ulimit,
)


def created(body: dict[str, Any]) -> CreateRequest:
    raw = msgspec.json.encode({"Image": "alpine", **body})
    return create_request(decode(raw, CreateBody), name="n", platform="linux/amd64")


@pytest.mark.parametrize(
    ("shape", "rules"), [(CreateBody, CONFIG), (HostConfigBody, HOST_CONFIG), (EndpointBody, ENDPOINT)]
)
def test_every_field_has_a_verdict(shape: type[msgspec.Struct], rules: dict[str, Any]) -> None:
    assert {declared.name for declared in msgspec.structs.fields(shape)} == set(rules)


def test_what_docker_run_sends_by_default_asks_for_nothing() -> None:
    """Recorded from the docker CLI: every field there, most of them zero."""
    request = created(
        {
            "Hostname": "",
            "AttachStdin": False,
            "AttachStdout": True,
            "AttachStderr": True,
            "Tty": False,
            "OpenStdin": False,
            "StdinOnce": False,
            "Env": None,
            "Cmd": ["sh"],
            "Volumes": {},
            "WorkingDir": "",
            "Entrypoint": None,
            "OnBuild": None,
            "Labels": {},
            "HostConfig": {
                "Binds": None,
                "ContainerIDFile": "",
                "LogConfig": {"Type": "", "Config": {}},
                "NetworkMode": "default",
                "PortBindings": {},
                "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
                "AutoRemove": False,
                "VolumeDriver": "",
                "VolumesFrom": None,
                "ConsoleSize": [0, 0],
                "CapAdd": None,
                "CapDrop": None,
                "CgroupnsMode": "",
                "Dns": [],
                "DnsOptions": [],
                "DnsSearch": [],
                "ExtraHosts": None,
                "GroupAdd": None,
                "IpcMode": "",
                "Cgroup": "",
                "Links": None,
                "OomScoreAdj": 0,
                "PidMode": "",
                "Privileged": False,
                "PublishAllPorts": False,
                "ReadonlyRootfs": False,
                "SecurityOpt": None,
                "UTSMode": "",
                "UsernsMode": "",
                "ShmSize": 0,
                "Isolation": "",
                "CpuShares": 0,
                "Memory": 0,
                "NanoCpus": 0,
                "CgroupParent": "",
                "BlkioWeight": 0,
                "BlkioWeightDevice": [],
                "Devices": [],
                "DeviceCgroupRules": None,
                "DeviceRequests": None,
                "MemoryReservation": 0,
                "MemorySwap": 0,
                "MemorySwappiness": -1,
                "OomKillDisable": False,
                "PidsLimit": 0,
                "Ulimits": [],
                "MaskedPaths": None,
                "ReadonlyPaths": None,
            },
            "NetworkingConfig": {"EndpointsConfig": {"default": {"IPAMConfig": None, "Aliases": None}}},
        }
    )
    assert request == CreateRequest(
        name="n",
        platform="linux/amd64",
        config=ContainerConfig(image="alpine", cmd=("sh",), attach_stdout=True, attach_stderr=True),
    )


def test_what_is_honoured_arrives() -> None:
    request = created(
        {
            "Cmd": "one string",
            "Entrypoint": ["/e", "x"],
            "Env": ["A=1"],
            "WorkingDir": "/w",
            "User": "1:2",
            "Tty": True,
            "OpenStdin": True,
            "StdinOnce": True,
            "AttachStdin": True,
            "Labels": {"k": None, "l": "v", "sockerless.agent": "off"},
            "ExposedPorts": {"80/tcp": {}, "53/UDP": {}, "9": {}},
            "Healthcheck": {"Test": ["NONE"]},
            "StopSignal": "SIGINT",
            "StopTimeout": 3,
            "HostConfig": {
                "AutoRemove": True,
                "Memory": 1 << 30,
                "CpuQuota": 150000,
                "CapDrop": ["CAP_CHOWN", "kill"],
                "CapAdd": ["NET_BIND_SERVICE"],
                "GroupAdd": ["7"],
                "Ulimits": [{"Name": "nofile", "Soft": 1, "Hard": 2}],
                "SecurityOpt": ["no-new-privileges", "label=disable"],
                "ExtraHosts": ["a:1.2.3.4", "b=::1"],
                "ReadonlyRootfs": True,
                "Init": True,
                "NetworkMode": "bridge",
                "RestartPolicy": {"Name": ""},
                "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m"}},
            },
        }
    )
    assert request.warnings == ()
    assert request.config == ContainerConfig(
        image="alpine",
        cmd=("one string",),
        entrypoint=("/e", "x"),
        env=("A=1",),
        working_dir="/w",
        user="1:2",
        tty=True,
        open_stdin=True,
        stdin_once=True,
        attach_stdin=True,
        labels={"k": "", "l": "v", "sockerless.agent": "off"},
        exposed_ports=("80/tcp", "53/udp", "9/tcp"),
        healthcheck=Healthcheck(test=("NONE",)),
        stop_signal="SIGINT",
        stop_timeout=3,
    )
    assert request.host == HostConfig(
        network_mode="bridge",
        auto_remove=True,
        memory_bytes=1 << 30,
        nano_cpus=1_500_000_000,
        cap_drop=("CAP_CHOWN", "kill"),
        log_options={"max-size": "10m"},
        group_add=("7",),
        ulimits=(Ulimit(name="nofile", soft=1, hard=2),),
        security_opt=("no-new-privileges",),
        extra_hosts=("a:1.2.3.4", "b=::1"),
        readonly_rootfs=True,
        init=True,
        restart_policy=RestartPolicy(),
    )


@pytest.mark.parametrize(
    "body",
    [
        {"Volumes": {"/data": {}}},
        {"HostConfig": {"Binds": ["/a:/b"]}},
        {"HostConfig": {"Mounts": [{"Type": "volume"}]}},
        {"HostConfig": {"Tmpfs": {"/t": ""}}},
        {"HostConfig": {"VolumesFrom": ["x"]}},
        {"HostConfig": {"PortBindings": {"80/tcp": None}}},
        {"HostConfig": {"PublishAllPorts": True}},
        {"HostConfig": {"Links": ["x"]}},
        {"HostConfig": {"NetworkMode": "mynet"}},
        {"HostConfig": {"NetworkMode": "host"}},
        {"HostConfig": {"Dns": ["1.1.1.1"]}},
        {"HostConfig": {"Sysctls": {"a": "b"}}},
        {"HostConfig": {"ShmSize": 1 << 31}},
        {"HostConfig": {"CapAdd": ["CAP_SYS_PTRACE"]}},
        {"NetworkingConfig": {"EndpointsConfig": {"mynet": None}}},
        {"NetworkingConfig": {"EndpointsConfig": {"bridge": {"Aliases": ["x"]}}}},
    ],
)
def test_what_is_not_built_yet_is_named(body: dict[str, Any]) -> None:
    with pytest.raises(Unimplemented, match=_innermost(body)):
        created(body)


@pytest.mark.parametrize(
    "body",
    [
        {"MacAddress": "02:42:ac:11:00:02"},
        {"NetworkDisabled": True},
        {"HostConfig": {"Privileged": True}},
        {"HostConfig": {"Devices": [{"PathOnHost": "/dev/kvm"}]}},
        {"HostConfig": {"DeviceRequests": [{"Count": -1}]}},
        {"HostConfig": {"PidMode": "host"}},
        {"HostConfig": {"IpcMode": "host"}},
        {"HostConfig": {"UTSMode": "host"}},
        {"HostConfig": {"Runtime": "nvidia"}},
        {"HostConfig": {"CapAdd": ["SYS_ADMIN"]}},
        {"HostConfig": {"CapAdd": ["ALL"]}},
        {"HostConfig": {"SecurityOpt": ["seccomp=unconfined"]}},
        {"HostConfig": {"StorageOpt": {"size": "40G"}}},
        {"HostConfig": {"LogConfig": {"Type": "syslog"}}},
        {"NetworkingConfig": {"EndpointsConfig": {"bridge": {"IPAMConfig": {"IPv4Address": "1.2.3.4"}}}}},
    ],
)
def test_what_fargate_can_never_do_is_a_400_with_advice(body: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameter, match=f"{_innermost(body)}.* is not possible on Fargate: .+"):
        created({"Volumes": {"/data": {}}, **body})  # the impossible is told before the unbuilt


def _innermost(body: dict[str, Any]) -> str:
    """`HostConfig.Binds` of `{"HostConfig": {"Binds": …}}`."""
    ((name, value),) = body.items()
    return rf"HostConfig\.{next(iter(value))}" if name == "HostConfig" else name


@pytest.mark.parametrize(
    "body",
    [
        {"Hostname": "h"},
        {"HostConfig": {"CpuShares": 512}},
        {"HostConfig": {"MemorySwap": -1}},
        {"HostConfig": {"PidsLimit": 100}},
        {"HostConfig": {"OomKillDisable": True}},
        {"HostConfig": {"LogConfig": {"Type": "none"}}},
        {"HostConfig": {"CgroupnsMode": "host"}},
    ],
)
def test_what_does_no_harm_is_a_warning(body: dict[str, Any]) -> None:
    (warning,) = created(body).warnings
    assert next(iter(body.get("HostConfig", body))) in warning


def test_extra_hosts_are_named_by_colon_or_equals_and_a_task_has_no_gateway() -> None:
    request = created({"HostConfig": {"ExtraHosts": ["a:1.2.3.4", "b=[::1]", "c:host-gateway"]}})
    assert request.host.names == (("a", "1.2.3.4"), ("b", "::1"))
    assert request.warnings == ("HostConfig.ExtraHosts c:host-gateway has no effect: a task has no host",)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"HostConfig": {"Memory": -1}}, "Minimum memory limit allowed is 6MB"),
        ({"HostConfig": {"NanoCpus": -1}}, "NanoCpus"),
        ({"Env": ["=x"]}, "invalid environment variable: =x"),
        ({"WorkingDir": "rel"}, "the working directory 'rel' is invalid, it needs to be an absolute path"),
        ({"HostConfig": {"NanoCpus": 1, "CpuQuota": 1}}, "Nano CPUs"),
        ({"HostConfig": {"ExtraHosts": ["nonsense"]}}, 'bad format for add-host: "nonsense"'),
        ({"HostConfig": {"ExtraHosts": ["a:b"]}}, 'invalid IP address in add-host: "b"'),
        ({"HostConfig": {"CapDrop": ["NONSENSE"]}}, 'unknown capability: "CAP_NONSENSE"'),
        ({"HostConfig": {"CpuQuota": 5}}, "CPU cfs quota can not be less than 1ms"),
        ({"ExposedPorts": {"http": {}}}, "ExposedPorts"),
        ({"ExposedPorts": {"70000/tcp": {}}}, "ExposedPorts"),
        ({"Image": ""}, "Image"),
    ],
)
def test_nonsense_is_a_400(body: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidParameter, match=said):
        created(body)


@pytest.mark.parametrize(
    ("asked", "kept"),
    [
        (None, None),
        ({}, None),
        ({"Test": [], "Interval": 0}, None),
        ({"Test": ["NONE"]}, Healthcheck(test=("NONE",))),
        ({"Test": ["CMD", "true"]}, Healthcheck(test=("CMD", "true"))),
        ({"Interval": 10**6}, Healthcheck(interval_ns=10**6)),
        (
            {
                "Test": ["CMD-SHELL", "exit 0"],
                "Interval": 10**9,
                "Timeout": 2 * 10**9,
                "StartPeriod": 3 * 10**9,
                "StartInterval": 4 * 10**9,
                "Retries": 5,
            },
            Healthcheck(
                test=("CMD-SHELL", "exit 0"),
                interval_ns=10**9,
                timeout_ns=2 * 10**9,
                start_period_ns=3 * 10**9,
                start_interval_ns=4 * 10**9,
                retries=5,
            ),
        ),
    ],
)
def test_a_health_check_arrives(asked: Any, kept: Healthcheck | None) -> None:
    assert created({"Healthcheck": asked}).config.healthcheck == kept


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"Interval": 1000}, "Interval in Healthcheck cannot be less than 1ms"),
        ({"Timeout": -5}, "Timeout in Healthcheck cannot be less than 1ms"),
        ({"StartPeriod": 5}, "StartPeriod in Healthcheck cannot be less than 1ms"),
        ({"StartInterval": 5}, "StartInterval in Healthcheck cannot be less than 1ms"),
        ({"Retries": -1}, "Retries in Healthcheck cannot be negative"),
        ({"Test": ["NONE"], "Interval": -1}, "Interval in Healthcheck cannot be less than 1ms"),
        ({"Test": ["FOO", "x"]}, "Unknown healthcheck type 'FOO'"),
    ],
)
def test_a_health_check_that_cannot_be_is_a_400(asked: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidParameter, match=said):
        created({"Healthcheck": asked})


@pytest.mark.parametrize(
    ("asked", "kept"),
    [
        (None, RestartPolicy()),
        ({"Name": "", "MaximumRetryCount": 3}, RestartPolicy()),
        ({"Name": "always"}, RestartPolicy(name="always")),
        ({"Name": "unless-stopped"}, RestartPolicy(name="unless-stopped")),
        (
            {"Name": "on-failure", "MaximumRetryCount": 3},
            RestartPolicy(name="on-failure", maximum_retry_count=3),
        ),
    ],
)
def test_a_restart_policy_arrives(asked: Any, kept: RestartPolicy) -> None:
    assert created({"HostConfig": {"RestartPolicy": asked}}).host.restart_policy == kept


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ({"RestartPolicy": {"Name": "nope"}}, "invalid restart policy: unknown policy 'nope'; use one of"),
        ({"RestartPolicy": {"Name": "no", "MaximumRetryCount": 3}}, "can only be used with 'on-failure'$"),
        ({"RestartPolicy": {"Name": "always", "MaximumRetryCount": -3}}, "and cannot be negative$"),
        ({"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": -3}}, "count cannot be negative"),
        (
            {"AutoRemove": True, "RestartPolicy": {"Name": "on-failure"}},
            "can't create 'AutoRemove' container with restart policy",
        ),
    ],
)
def test_a_restart_policy_that_cannot_be_is_a_400(host: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidParameter, match=said):
        created({"HostConfig": host})


def test_an_update_leaves_what_is_zero() -> None:
    """As the docker command sends it: every field, most of them zero."""
    body = {"CpuShares": 0, "Memory": 1 << 30, "NanoCpus": 0, "RestartPolicy": {"Name": ""}, "Devices": None}
    wanted, warnings = update_request(decode(msgspec.json.encode(body), HostConfigBody))
    assert (wanted, warnings) == (ContainerUpdate(memory_bytes=1 << 30), [])
    body = {"CpuShares": 5, "CpuQuota": 50_000, "RestartPolicy": {"Name": "always"}}
    wanted, warnings = update_request(decode(msgspec.json.encode(body), HostConfigBody))
    assert wanted == ContainerUpdate(nano_cpus=500_000_000, restart_policy=RestartPolicy(name="always"))
    assert [warning.partition(" ")[0] for warning in warnings] == ["CpuShares"]


def test_what_no_field_is_called_is_told() -> None:
    assert unknown_fields(b'{"Image":"a","image":"b","HostConfig":{"memory":1,"Memory":1}}') == [
        "image is not a field of a container: ignored",
        "HostConfig.memory is not a field of a container: ignored",
    ]
    assert unknown_fields(b'{"HostConfig":null}') == []
