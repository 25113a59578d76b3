"""Containers on the Docker API: created, shown, changed, waited for."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio

from sockerless_ecs.model.container import ContainerUpdate, RestartPolicy
from sockerless_ecs.model.usage import InterfaceUsage, Usage
from tests.http.conftest import Served
from tests.http.wire import Wire

ZERO = "0001-01-01T00:00:00Z"


async def test_a_container_lives_on_versioned_and_plain_paths(engine: Served, docker: Wire) -> None:
    await engine.backend.pulled()
    created = await docker.ask(
        "POST", "/v1.43/containers/create?name=web", {"Image": "alpine:3", "Hostname": "h"}
    )
    assert created.status == 201
    (warning,) = created.json["Warnings"]
    assert "uname shows the name of the Fargate task" in warning
    assert (await docker.ask("POST", "/v1.24/containers/web/start", {"Binds": []})).status == 204
    assert (await docker.ask("POST", "/containers/web/start?detachKeys=ctrl-a")).status == 304
    shown = (await docker.ask("GET", "/containers/web/json")).json
    assert shown["State"]["Running"]
    assert "AgentToken" not in shown
    assert "AgentAddress" not in shown
    (listed,) = (await docker.ask("GET", "/v1.51/containers/json")).json
    assert (listed["Names"], listed["HostConfig"]) == (["/web"], {"NetworkMode": "default"})
    assert (await docker.ask("POST", "/containers/web/stop?t=3&signal=INT")).status == 204
    assert ("stop", "web", "3.0", "INT") in engine.backend.containers.calls
    assert (await docker.ask("DELETE", "/containers/web?v=1&force=1")).status == 204
    assert (await docker.ask("GET", "/containers/web/json")).message == "No such container: web"


async def test_a_client_of_before_1_25_removes_what_it_ran_itself(engine: Served, docker: Wire) -> None:
    await engine.backend.pulled()
    for version in ("v1.24", "v1.25"):
        body = {"Image": "alpine:3", "HostConfig": {"AutoRemove": True}}
        assert (await docker.ask("POST", f"/{version}/containers/create", body)).status == 201
    requests = engine.backend.containers.requests
    assert [request.host.auto_remove for request in requests] == [False, True]


INSPECT = {
    *("Id", "Created", "Path", "Args", "State", "Image", "ResolvConfPath", "HostnamePath", "HostsPath"),
    *("LogPath", "Name", "RestartCount", "Driver", "Platform", "MountLabel", "ProcessLabel"),
    *("AppArmorProfile", "ExecIDs", "HostConfig", "GraphDriver", "Mounts", "Config", "NetworkSettings"),
}
HOST_CONFIG = {
    *("Binds", "ContainerIDFile", "LogConfig", "NetworkMode", "PortBindings", "RestartPolicy", "AutoRemove"),
    *("VolumeDriver", "VolumesFrom", "CapAdd", "CapDrop", "CgroupnsMode", "Dns", "DnsOptions", "DnsSearch"),
    *("ExtraHosts", "GroupAdd", "IpcMode", "Cgroup", "Links", "OomScoreAdj", "PidMode", "Privileged"),
    *("PublishAllPorts", "ReadonlyRootfs", "SecurityOpt", "UTSMode", "UsernsMode", "ShmSize", "ConsoleSize"),
    *("Isolation", "CpuShares", "Memory", "NanoCpus", "CgroupParent", "BlkioWeight", "BlkioWeightDevice"),
    *("BlkioDeviceReadBps", "BlkioDeviceWriteBps", "BlkioDeviceReadIOps", "BlkioDeviceWriteIOps"),
    *("CpuPeriod", "CpuQuota", "CpuRealtimePeriod", "CpuRealtimeRuntime", "CpusetCpus", "CpusetMems"),
    *("Devices", "DeviceCgroupRules", "DeviceRequests", "MemoryReservation", "MemorySwap"),
    *("MemorySwappiness", "OomKillDisable", "PidsLimit", "Ulimits", "CpuCount", "CpuPercent"),
    *("IOMaximumIOps", "IOMaximumBandwidth", "MaskedPaths", "ReadonlyPaths", "Runtime"),
}
NETWORK_SETTINGS = {
    *("Bridge", "SandboxID", "HairpinMode", "LinkLocalIPv6Address", "LinkLocalIPv6PrefixLen", "Ports"),
    *("SandboxKey", "SecondaryIPAddresses", "SecondaryIPv6Addresses", "EndpointID", "Gateway"),
    *("GlobalIPv6Address", "GlobalIPv6PrefixLen", "IPAddress", "IPPrefixLen", "IPv6Gateway", "MacAddress"),
    "Networks",
}
ENDPOINT = {
    *("IPAMConfig", "Links", "Aliases", "NetworkID", "EndpointID", "Gateway", "IPAddress", "IPPrefixLen"),
    *("IPv6Gateway", "GlobalIPv6Address", "GlobalIPv6PrefixLen", "MacAddress", "DriverOpts"),
}


async def test_inspect_has_every_field_that_a_dockerd_shows(engine: Served, docker: Wire) -> None:
    """Recorded from a dockerd; newer ones add some of their own."""
    await engine.backend.running()
    shown = (await docker.ask("GET", "/containers/c/json")).json
    assert set(shown) == INSPECT
    assert set(shown["HostConfig"]) >= HOST_CONFIG
    assert set(shown["NetworkSettings"]) == NETWORK_SETTINGS
    (endpoint,) = shown["NetworkSettings"]["Networks"].values()
    assert set(endpoint) >= ENDPOINT
    assert shown["HostConfig"]["ConsoleSize"] == [0, 0]
    assert (shown["State"]["Pid"], shown["ExecIDs"]) == (0, None)


async def test_sizes_are_shown_when_they_are_asked_for(engine: Served, docker: Wire) -> None:
    await engine.backend.running()
    shown = (await docker.ask("GET", "/containers/c/json?size=1")).json
    assert (shown["SizeRw"], shown["SizeRootFs"]) == (0, 7)
    (listed,) = (await docker.ask("GET", "/containers/json?size=true")).json
    assert (listed["SizeRw"], listed["SizeRootFs"]) == (0, 7)
    engine.backend.images.by_ref.clear()
    engine.backend.changed()
    assert (await docker.ask("GET", "/containers/c/json?size=1")).json["SizeRootFs"] == 0


async def test_what_is_shown_is_never_older_than_the_last_change(engine: Served, docker: Wire) -> None:
    """Rendered answers are kept until something changes."""
    container_id = await engine.backend.container()
    for state in ("created", "running", "paused", "running", "exited"):
        assert (await docker.ask("GET", "/containers/c/json")).json["State"]["Status"] == state
        (listed,) = (await docker.ask("GET", "/containers/json?all=1")).json
        assert listed["State"] == state
        match state:
            case "created":
                await engine.backend.containers.start("c")
            case "paused":
                await engine.backend.containers.unpause("c")
                engine.backend.containers.change(engine.backend.containers.find("c"), restart_count=1)
            case "running" if not engine.backend.containers.find("c").restart_count:
                await engine.backend.containers.pause("c")
            case _:
                engine.backend.containers.exit(container_id, 0)


async def test_wait_sends_its_head_at_once_and_nothing_else_before_the_end(
    engine: Served, docker: Wire
) -> None:
    await engine.backend.container()
    await docker.send("POST", "/v1.30/containers/c/wait?condition=next-exit")
    assert (await docker.head()).headers["content-type"] == "application/json"
    engine.backend.containers.exit("c", 7)
    assert json.loads(await docker.chunk()) == {"StatusCode": 7}
    assert await docker.chunk() == b""
    assert (await docker.ask("POST", "/containers/c/wait")).json == {"StatusCode": 7}


async def test_wait_of_old_clients_has_no_head_before_the_end(engine: Served, docker: Wire) -> None:
    await engine.backend.container()
    await docker.send("POST", "/v1.29/containers/c/wait?condition=whatever")
    with trio.move_on_after(0.2) as scope:
        await docker.head()
    assert scope.cancelled_caught
    engine.backend.containers.exit("c", 7)
    assert (await docker.answer()).json == {"StatusCode": 7}


async def test_update_tells_what_it_could_not(engine: Served, docker: Wire) -> None:
    await engine.backend.running()
    body = {"NanoCpus": 10**9, "CpuShares": 5, "RestartPolicy": {"Name": "always"}}
    answer = await docker.ask("POST", "/containers/c/update", body)
    assert answer.status == 200
    assert [warning.partition(" ")[0] for warning in answer.json["Warnings"]] == ["CpuShares", "told"]
    assert engine.backend.containers.updates == [
        ContainerUpdate(nano_cpus=10**9, restart_policy=RestartPolicy(name="always"))
    ]
    assert (await docker.ask("POST", "/containers/c/update", {})).json == {"Warnings": None}


async def test_processes_changes_and_prune_have_dockers_shape(engine: Served, docker: Wire) -> None:
    container_id = await engine.backend.running()
    assert (await docker.ask("GET", "/containers/c/top?ps_args=-ef")).json == {
        "Titles": ["PID", "CMD"],
        "Processes": [["1", "sleep 9"]],
    }
    assert (await docker.ask("GET", "/containers/c/changes")).json == [
        {"Path": "/tmp", "Kind": 0},
        {"Path": "/tmp/x", "Kind": 1},
    ]
    engine.backend.containers.exit("c", 0)
    pruned = (await docker.ask("POST", "/containers/prune")).json
    assert pruned == {"ContainersDeleted": [container_id], "SpaceReclaimed": 0}


async def test_a_terminal_is_resized(engine: Served, docker: Wire) -> None:
    await engine.backend.running(tty=True)
    answer = await docker.ask("POST", "/containers/c/resize?h=30&w=100")
    assert (answer.status, answer.body) == (200, b"")
    (size,) = engine.backend.containers.sizes
    assert (size.rows, size.columns) == (30, 100)


def usage(total_ns: int, *, cgroup_version: int = 2) -> Usage:
    return Usage(
        read_ns=1_700_000_000_000_000_000 + total_ns,
        cpu_total_ns=total_ns,
        cpu_user_ns=3,
        cpu_system_ns=4,
        system_cpu_ns=1000 + total_ns,
        online_cpus=2,
        memory_bytes=100,
        memory_max_bytes=200,
        memory_limit_bytes=1 << 30,
        memory_stats={"inactive_file": 7},
        cgroup_version=cgroup_version,
        pids=5,
        networks={"eth1": InterfaceUsage(rx_bytes=1, tx_packets=2)},
        block_read_bytes=11,
        block_write_bytes=-1,
    )


async def test_one_shot_stats_are_one_sample_without_rates(engine: Served, docker: Wire) -> None:
    container_id = await engine.backend.running()
    engine.backend.containers.used = usage(10)
    answer = await docker.ask("GET", "/containers/c/stats?stream=0&one-shot=1")
    nothing = {
        "cpu_usage": {"total_usage": 0, "usage_in_kernelmode": 0, "usage_in_usermode": 0},
        "throttling_data": {"periods": 0, "throttled_periods": 0, "throttled_time": 0},
    }
    assert answer.json == {
        "name": "/c",
        "id": container_id,
        "read": "2023-11-14T22:13:20.00000001Z",
        "preread": ZERO,
        "pids_stats": {"current": 5},
        "blkio_stats": {
            "io_service_bytes_recursive": [{"major": 0, "minor": 0, "op": "read", "value": 11}],
            "io_serviced_recursive": None,
            "io_queue_recursive": None,
            "io_service_time_recursive": None,
            "io_wait_time_recursive": None,
            "io_merged_recursive": None,
            "io_time_recursive": None,
            "sectors_recursive": None,
        },
        "num_procs": 0,
        "storage_stats": {},
        "cpu_stats": {
            "cpu_usage": {"total_usage": 10, "usage_in_kernelmode": 4, "usage_in_usermode": 3},
            "system_cpu_usage": 1010,
            "online_cpus": 2,
            "throttling_data": {"periods": 0, "throttled_periods": 0, "throttled_time": 0},
        },
        "precpu_stats": nothing,
        "memory_stats": {"usage": 100, "stats": {"inactive_file": 7}, "limit": 1 << 30},
        "networks": {
            "eth1": {
                "rx_bytes": 1,
                "rx_packets": 0,
                "rx_errors": 0,
                "rx_dropped": 0,
                "tx_bytes": 0,
                "tx_packets": 2,
                "tx_errors": 0,
                "tx_dropped": 0,
            }
        },
    }
    engine.backend.containers.used = usage(10, cgroup_version=1)
    older = (await docker.ask("GET", "/containers/c/stats?stream=0&one-shot=1")).json
    assert older["memory_stats"]["max_usage"] == 200
    refused = await docker.ask("GET", "/containers/c/stats?one-shot=1")
    assert (refused.status, refused.message) == (400, "cannot have stream=true and one-shot=true")


async def test_stats_are_a_sample_a_second_with_the_one_before_until_the_container_is_gone(
    engine: Served, docker: Wire
) -> None:
    await engine.backend.running()
    engine.backend.containers.used = usage(10)
    await docker.send("GET", "/containers/c/stats")
    await docker.head()
    first = json.loads(await docker.chunk())
    engine.backend.containers.used = usage(20)
    second = json.loads(await docker.chunk())
    assert (second["precpu_stats"], second["preread"]) == (first["cpu_stats"], first["read"])
    assert second["cpu_stats"]["cpu_usage"]["total_usage"] == 20
    engine.backend.containers.exit("c", 0)
    third = json.loads(await docker.chunk())
    assert (third["read"], third["cpu_stats"]["cpu_usage"]["total_usage"]) == (ZERO, 0)
    await engine.backend.containers.remove("c")
    assert await docker.chunk() == b""
    assert (await docker.ask("GET", "/containers/json")).status == 200


async def test_stats_of_what_does_not_run_are_zeros_at_once(engine: Served, docker: Wire) -> None:
    container_id = await engine.backend.container()
    with trio.fail_after(0.9):
        shown: dict[str, Any] = (await docker.ask("GET", "/containers/c/stats?stream=false")).json
    assert (shown["id"], shown["name"], shown["read"]) == (container_id, "/c", ZERO)
    assert (shown["memory_stats"], shown["pids_stats"]) == ({}, {})
    assert "networks" not in shown


async def test_a_single_sample_has_rates(engine: Served, docker: Wire) -> None:
    await engine.backend.running()
    engine.backend.containers.used = usage(10)
    shown = (await docker.ask("GET", "/containers/c/stats?stream=0")).json
    assert shown["precpu_stats"]["cpu_usage"]["total_usage"] == 10


@pytest.mark.parametrize(
    ("prefix", "kind"),
    [
        ("", "application/vnd.docker.multiplexed-stream"),
        ("/v1.41", "application/vnd.docker.raw-stream"),
    ],
)
async def test_logs_are_named_as_their_client_knows_them(
    engine: Served, docker: Wire, prefix: str, kind: str
) -> None:
    await engine.backend.running()
    engine.backend.containers.write("c", b"x\n")
    answer = await docker.ask("GET", f"{prefix}/containers/c/logs?stdout=1")
    assert (answer.headers["content-type"], answer.body) == (kind, b"\x01\0\0\0\0\0\0\x02x\n")
