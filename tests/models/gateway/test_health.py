"""A provider is blamed only for what our boxes cannot provoke, however long it takes to find out."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from agent.models.gateway import health
from tests.models.gateway.test_pair import Limited, box, models, say


@pytest.mark.parametrize("retry_after", [None, 2.6])
async def test_a_limit_a_minute_that_a_box_used_up_has_time_to_refill(
    run_gateway: Any, scripted_models: Any, monkeypatch: pytest.MonkeyPatch, retry_after: float | None
) -> None:
    """A provider counts its limits for longer than a broken one is given: a busy one is waited for."""
    monkeypatch.setattr(health, "_QUIET_SECONDS", 0.2)
    limited = Limited(most=10, seconds=2.5, retry_after=retry_after)
    impatient = models(scripted_models, timeout=20 if retry_after is None else 1.0)
    async with run_gateway(impatient, providers={"solver": limited}) as bench:
        session, client = await box(bench, 0.5)
        junk = [say(client, f"junk {i}") for i in range(40)]
        await asyncio.sleep(0.6)
        await session.close()
        await asyncio.gather(*junk, return_exceptions=True)
        assert bench.gateway.trouble() is None
    assert session.fault is None
