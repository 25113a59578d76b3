"""Two sandboxes for the session: one as fast as it goes, one with AWS's pace and rates."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sockerless_ecs.sandbox.launch import SandboxOptions
from tests.e2e.world import running_cloud
from tests.sandbox.aws.account import Account

FORGET_SECONDS = 1.0


@pytest.fixture(scope="session")
def _quick() -> Iterator[Account]:
    options = SandboxOptions(provision_seconds=0, stop_seconds=0, log_delay_seconds=0.1, rate_limits=False)
    with running_cloud(options) as cloud:
        yield Account(cloud)


@pytest.fixture(scope="session")
def _paced() -> Iterator[Account]:
    options = SandboxOptions(
        provision_seconds=0.5, stop_seconds=0.5, log_delay_seconds=0.6, stopped_task_seconds=FORGET_SECONDS
    )
    with running_cloud(options) as cloud:
        yield Account(cloud)


@pytest.fixture
def aws(_quick: Account) -> Iterator[Account]:
    """An account where everything is as fast as it goes, without faults."""
    yield _quick
    _quick.cloud.no_faults()


@pytest.fixture
def paced(_paced: Account) -> Iterator[Account]:
    """An account where things take half a second and rates are enforced."""
    yield _paced
    _paced.cloud.no_faults()
