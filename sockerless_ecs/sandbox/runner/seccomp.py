"""The system calls that a container on Fargate does not have: a small filter in the kernel's own language."""

from __future__ import annotations

import ctypes
import os
import struct

from sockerless_ecs.sandbox.runner import kernel

# What takes capabilities that Docker drops but user namespaces would hand out again, and what reaches the
# machine behind its namespaces. Numbers: x86-64, arm64.
_DENIED = {
    "add_key": (248, 217),
    "bpf": (321, 280),
    "clock_settime": (227, 112),
    "delete_module": (176, 106),
    "finit_module": (313, 273),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "init_module": (175, 105),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "perf_event_open": (298, 241),
    "pivot_root": (155, 41),
    "reboot": (169, 142),
    "request_key": (249, 218),
    "setns": (308, 268),
    "settimeofday": (164, 170),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
}
_CLONE, _CLONE3 = (56, 220), 435
_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_X32 = 0x40000000  # x86-64's second numbering; no number of arm64 is that high
_NAMESPACES = (
    kernel.NEWNS
    | kernel.NEWCGROUP
    | kernel.NEWUTS
    | kernel.NEWIPC
    | kernel.NEWUSER
    | kernel.NEWPID
    | kernel.NEWNET
)
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER_AT, _ARCHITECTURE_AT, _FIRST_ARGUMENT_AT = 0, 4, 16
_ALLOW, _ERROR = 0x7FFF0000, 0x00050000
_EPERM, _ENOSYS = 1, 38


def install() -> None:
    """Filter the calling process and all that it becomes or forks; takes CAP_SYS_ADMIN. Raises `OSError`."""
    program = _program(*_ARCHITECTURES[os.uname().machine])
    buffer = ctypes.create_string_buffer(program, len(program))
    kernel.filter_system_calls(buffer, len(program) // 8)


def _program(column: int, architecture: int) -> bytes:
    steps = [
        _step(_LOAD, _ARCHITECTURE_AT),
        *_unless(_EQUAL, architecture, _ENOSYS),
        _step(_LOAD, _NUMBER_AT),
        *_if(_AT_LEAST, _X32, _ENOSYS),
        *_if(_EQUAL, _CLONE3, _ENOSYS),  # its flags are behind a pointer; libraries fall back to clone
    ]
    for numbers in _DENIED.values():
        steps += _if(_EQUAL, numbers[column], _EPERM)
    clone = [_step(_LOAD, _FIRST_ARGUMENT_AT), *_if(_ANY_BIT, _NAMESPACES, _EPERM)]
    steps += [_step(_EQUAL, _CLONE[column], 0, len(clone)), *clone, _step(_RETURN, _ALLOW)]
    return b"".join(steps)


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def _if(test: int, value: int, error: int) -> list[bytes]:
    return [_step(test, value, 0, 1), _step(_RETURN, _ERROR | error)]


def _unless(test: int, value: int, error: int) -> list[bytes]:
    return [_step(test, value, 1, 0), _step(_RETURN, _ERROR | error)]
