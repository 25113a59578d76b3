"""Health checks on real processes."""

from __future__ import annotations

import json
import time
from typing import Any

from tests.e2e.world import Api, eventually

_MS = 1_000_000


def _check(line: str, **more: Any) -> dict[str, Any]:
    return {"Healthcheck": {"Test": ["CMD-SHELL", line], "Interval": 50 * _MS, "Retries": 2, **more}}


async def _status(api: Api, container: str) -> str:
    return str((await api.inspect(container))["State"]["Health"]["Status"])


async def test_container_becomes_healthy_then_not(api: Api) -> None:
    """The file that the check looks for comes late and goes again; each change is one event."""
    since = time.time()
    script = "sleep 0.5; touch /tmp/ok; sleep 1; rm /tmp/ok; sleep 100"
    check = _check(
        "test -e /tmp/ok || { echo missing; exit 1; }", Retries=3, StartPeriod=10**10, StartInterval=50 * _MS
    )
    container = await api.run("sh", "-c", script, **check)
    assert await _status(api, container) == "starting"

    async def healthy() -> bool:
        return await _status(api, container) == "healthy"

    async def unhealthy() -> bool:
        return await _status(api, container) == "unhealthy"

    await eventually(healthy)
    listed = await api.call(
        "GET", "/containers", filters=json.dumps({"health": ["healthy"], "id": [container]})
    )
    assert listed[0]["Status"].endswith("(healthy)")
    await eventually(unhealthy)
    health = (await api.inspect(container))["State"]["Health"]
    assert (health["FailingStreak"] >= 3, health["Log"][-1]["ExitCode"]) == (True, 1)
    assert (health["Log"][-1]["Output"], len(health["Log"]) <= 5) == ("missing\n", True)
    filters = json.dumps({"container": [container], "event": ["health_status"]})
    answer = await api.http.get("/events", params={"since": since, "until": time.time(), "filters": filters})
    actions = [json.loads(line)["Action"] for line in answer.text.splitlines()]
    assert actions == ["health_status: healthy", "health_status: unhealthy"]
    await api.remove(container, force=True)


async def test_container_without_a_check_has_no_health(api: Api) -> None:
    container = await api.run("sleep", "100", Healthcheck={"Test": ["NONE"]})
    assert "Health" not in (await api.inspect(container))["State"]
    await api.remove(container, force=True)
