"""A container engine in memory that obeys the contract: processes run until a test says that they end."""

from tests.http.fake_backend.backend import FakeBackend
from tests.http.fake_backend.waits import TASK

__all__ = ["TASK", "FakeBackend"]
