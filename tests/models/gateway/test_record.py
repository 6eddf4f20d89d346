"""An answer leaves the gateway when no power cut can take its row away."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from agent.models.gateway.record import MemoryRecord
from agent.models.providers.scripted import ScriptedProvider

CHAT = "/v1/chat/completions"
ASK = {"model": "small", "messages": [{"role": "user", "content": "x"}], "max_tokens": 8}


class SlowDisk(MemoryRecord):
    """A record whose rows are on the disk when it is told so."""

    def __init__(self) -> None:
        super().__init__()
        self.flushed = asyncio.Event()

    async def kept(self) -> None:
        await self.flushed.wait()


@pytest.mark.parametrize("shared", [False, True])
async def test_no_answer_leaves_before_its_row_is_on_the_disk(
    shared: bool, run_gateway: Any, scripted_models: Any, until: Any
) -> None:
    record = SlowDisk()
    providers = {"solver": ScriptedProvider(lambda _: "ok")}
    async with run_gateway(scripted_models, record=record, providers=providers) as bench:
        if shared:
            record.flushed.set()
            session, path = await bench.session(answer_scope="pair")
            async with bench.http(path) as http:
                await http.post(CHAT, json=ASK)
            await session.close()
            record.flushed.clear()
        session, path = await bench.session(answer_scope="pair")
        async with bench.http(path) as http:
            asked = asyncio.create_task(http.post(CHAT, json=ASK))
            await until(lambda: record.calls and record.calls[-1].fresh is not shared)
            done, _ = await asyncio.wait([asked], timeout=0.2)
            assert not done
            record.flushed.set()
            assert (await asked).status_code == 200
        await session.close()
