"""Where our answers may differ from the older dockerd that the tests have, each with its reason."""

from __future__ import annotations

from tests.clients.comparison import Allowed

EVERYWHERE: Allowed = {
    "api-version": "that one is older",
    "Created": "a time",
    "State.StartedAt": "a time",
    "State.FinishedAt": "a time",
    "State.Pid": "runs on no machine of the client's",
    "State.Health.Log": "times",
    "Driver": "fargate",
    "GraphDriver": "there are no layers on this machine",
    "HostnamePath": "no file of this machine",
    "HostsPath": "no file of this machine",
    "LogPath": "no file of this machine",
    "ResolvConfPath": "no file of this machine",
    "HostConfig.NetworkMode": "that one has no bridge",
    "NetworkSettings": "that one has no network",
    "*.NetworkSettings": "that one has no network",
    "*.HostConfig.NetworkMode": "that one has no bridge",
    "*.Created": "a time",
    "*.Status": "relative times",
    "ProcessLabel": "SELinux",
    "HostConfig.KernelMemory": "gone in later versions",
    "HostConfig.KernelMemoryTCP": "gone in later versions",
    "HostConfig.RestartPolicy.Name": "later versions fill in `no`",
    "ContainerConfig": "gone in later versions",
    "Warnings": "ours are about Fargate",
    "Size": "of the layers as they are packed",
    "VirtualSize": "of the layers as they are packed",
    "*.Size": "of the layers as they are packed",
    "*.VirtualSize": "of the layers as they are packed",
    "Metadata.LastTagTime": "a time",
    "AppArmorProfile": "AppArmor",
    "HostConfig.MaskedPaths": "Fargate's own",
    "HostConfig.ReadonlyPaths": "Fargate's own",
    "HostConfig.Ulimits": "that one is run with a default limit",
    "HostConfig.CgroupnsMode": "a property of that machine",
    "*.ImageID": "",
    "*.SizeRw": "not measured",
}
