"""A container never gets less than it asked for, nor more than it must."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockerless_ecs.errors import InvalidParameter
from sockerless_ecs.model.sizing import MOST_CPU_UNITS, MOST_MEMORY_MIB, SIZES, FargateSize, size

MIB, GIB = 1024**2, 1024**3


def asked(
    cpus: float = 0, memory: int = 0, storage: int | None = None, labels: Mapping[str, str] | None = None
) -> FargateSize:
    return size(
        int(cpus * 10**9),
        memory,
        storage,
        default_cpu_units=256,
        default_memory_mib=512,
        labels=labels or {},
    )


@pytest.mark.parametrize(
    ("cpus", "memory", "cpu_units", "memory_mib"),
    [
        (0, 0, 256, 512),
        (0, 1, 256, 512),
        (0, 513 * MIB, 256, 1024),
        (0, 2 * GIB + 1, 512, 3072),
        (0.25, 0, 256, 512),
        (0.250000001, 0, 512, 1024),
        (1, GIB, 1024, 2048),
        (1.5, 4 * GIB, 2048, 4096),
        (0.5, 31 * GIB, 8192, 32 * 1024),
        (16, 120 * GIB, 16384, 120 * 1024),
    ],
)
def test_smallest_size_that_holds_what_was_asked(
    cpus: float, memory: int, cpu_units: int, memory_mib: int
) -> None:
    assert asked(cpus, memory) == FargateSize(cpu_units=cpu_units, memory_mib=memory_mib)


def test_sizes_are_those_of_fargate() -> None:
    assert {units: (mibs[0], mibs[-1], len(mibs)) for units, mibs in SIZES.items()} == {
        256: (512, 2048, 3),
        512: (1024, 4096, 4),
        1024: (2048, 8192, 7),
        2048: (4096, 16384, 13),
        4096: (8192, 30720, 23),
        8192: (16384, 61440, 12),
        16384: (32768, 122880, 12),
    }


@given(
    nano_cpus=st.integers(0, 16 * 10**9),
    memory=st.integers(0, 120 * GIB),
    cpu=st.integers(1, MOST_CPU_UNITS),
    mib=st.integers(1, MOST_MEMORY_MIB),
)
def test_never_smaller_than_asked_and_nothing_smaller_would_do(
    nano_cpus: int, memory: int, cpu: int, mib: int
) -> None:
    found = size(nano_cpus, memory, default_cpu_units=cpu, default_memory_mib=mib, labels={})
    least_nano = nano_cpus or cpu * 10**9 // 1024
    least_bytes = memory or mib * MIB

    def holds(units: int, memory_mib: int) -> bool:
        return units * 10**9 >= least_nano * 1024 and memory_mib * MIB >= least_bytes

    assert holds(found.cpu_units, found.memory_mib)
    assert found.memory_mib in SIZES[found.cpu_units]
    smaller = [(units, one) for units in SIZES if units < found.cpu_units for one in SIZES[units]]
    smaller += [(found.cpu_units, one) for one in SIZES[found.cpu_units] if one < found.memory_mib]
    assert not any(holds(*one) for one in smaller)


def test_labels_win_over_limits() -> None:
    labels = {"sockerless.cpu": "0.5", "sockerless.memory": "3g", "sockerless.storage": "21"}
    assert asked(8, 32 * GIB, 100, labels) == FargateSize(cpu_units=512, memory_mib=3072, storage_gib=21)


@pytest.mark.parametrize(
    ("label", "memory_mib"),
    [
        ("2g", 2048),
        ("2GiB", 2048),
        ("512m", 512),
        ("512", 512),
        ("1.5g", 2048),
        ("1073741824b", 1024),
        ("1k", 512),
    ],
)
def test_memory_label_takes_the_usual_units(label: str, memory_mib: int) -> None:
    assert asked(labels={"sockerless.memory": label}).memory_mib == memory_mib


@pytest.mark.parametrize(("storage", "field"), [(1, None), (20, None), (21, 21), (200, 200)])
def test_twenty_gib_of_storage_are_there_anyway(storage: int, field: int | None) -> None:
    assert asked(storage=storage).storage_gib == field
    assert asked(labels={"sockerless.storage": f"{storage}"}).storage_gib == field
    assert asked(labels={"sockerless.storage": f"{storage}g"}).storage_gib == field


@pytest.mark.parametrize(
    "labels",
    [
        {"sockerless.cpu": "16.1"},
        {"sockerless.memory": "121g"},
        {"sockerless.cpu": "999999999999"},
    ],
)
def test_more_than_the_largest_is_refused_and_names_it(labels: Mapping[str, str]) -> None:
    with pytest.raises(InvalidParameter, match="largest Fargate task has 16 vCPU and 120 GiB"):
        asked(labels=labels)


@pytest.mark.parametrize("name", ["sockerless.cpu", "sockerless.memory", "sockerless.storage"])
@pytest.mark.parametrize(
    "value", ["", "x", "-1", "0", "nan", "inf", "1e3", "0x10", "٣", "1" * 5000, "g", ".", "1 2"]
)
def test_nonsense_in_a_label_names_the_label(name: str, value: str) -> None:
    with pytest.raises(InvalidParameter, match=name):
        asked(labels={name: value})


@pytest.mark.parametrize(
    ("cpus", "memory", "storage", "field"),
    [(-1, 0, None, "NanoCpus"), (0, -1, None, "Memory"), (0, 0, 201, "storage"), (0, 0, 0, "storage")],
)
def test_nonsense_in_a_field_names_the_field(cpus: int, memory: int, storage: int | None, field: str) -> None:
    with pytest.raises(InvalidParameter, match=field):
        asked(cpus, memory, storage)


@given(
    st.dictionaries(st.sampled_from(["sockerless.cpu", "sockerless.memory", "sockerless.storage"]), st.text())
)
def test_any_label_gives_a_size_or_an_invalid_parameter(labels: Mapping[str, str]) -> None:
    try:
        assert asked(labels=labels).cpu_units in SIZES
    except InvalidParameter:
        return
