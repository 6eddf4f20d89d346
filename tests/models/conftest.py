"""A gateway on real Unix sockets, and the official SDKs as the clients that sit in boxes."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import openai
import pytest

from agent.base.types import CallRecord, CallScope
from agent.config.models import ModelsConfig
from agent.models.gateway.record import MemoryRecord
from agent.models.gateway.server import GatewayServer
from agent.models.gateway.session import BoxSession
from agent.models.ports import Budget, Journal, Learned, Provider, ReplaySource


@dataclass
class Bench:
    """One running gateway and what a test needs around it."""

    gateway: GatewayServer
    record: Any
    folder: Path
    stack: AsyncExitStack
    sessions: int = 0

    async def session(self, **scope: Any) -> tuple[BoxSession, Path]:
        self.sessions += 1
        path = self.folder / f"{self.sessions}.sock"
        given = {"trial": f"t{self.sessions}", "models": {"small": "solver"}, **scope}
        return await self.gateway.open(path, CallScope(**given)), path

    def http(self, path: Path) -> httpx2.AsyncClient:
        transport = httpx2.AsyncHTTPTransport(uds=str(path))
        return httpx2.AsyncClient(transport=transport, base_url="http://box", timeout=30)

    def openai(self, path: Path) -> openai.AsyncOpenAI:
        client = openai.AsyncOpenAI(
            api_key="placeholder", base_url="http://box/v1", http_client=self.http(path), max_retries=0
        )
        self.stack.push_async_callback(client.close)
        return client

    def anthropic(self, path: Path) -> anthropic.AsyncAnthropic:
        client = anthropic.AsyncAnthropic(
            api_key="placeholder", base_url="http://box", http_client=self.http(path), max_retries=0
        )
        self.stack.push_async_callback(client.close)
        return client


@asynccontextmanager
async def running(
    models: Mapping[str, Any],
    *,
    providers: Mapping[str, Provider] | None = None,
    record: CallRecord | None = None,
    budget: Budget | None = None,
    replay: ReplaySource | None = None,
    learned: Learned | None = None,
    journal: Journal | None = None,
) -> AsyncIterator[Bench]:
    kept = record or MemoryRecord()
    config = ModelsConfig.model_validate(models)
    server = GatewayServer(config, kept, budget, providers=providers, replay=replay, learned=learned, journal=journal)
    with tempfile.TemporaryDirectory(prefix="gw") as folder:
        async with AsyncExitStack() as stack, server as gateway:
            bench = Bench(gateway, kept, Path(folder), AsyncExitStack())
            stack.push_async_callback(bench.stack.aclose)
            yield bench


async def until(happened: Callable[[], object]) -> None:
    """Wait for something that announces itself in no other way."""
    async with asyncio.timeout(20):
        while not happened():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.001)


SCRIPTED = {"solver": {"provider": "replay", "context_window": 100_000, "timeout": 5, "attempts": 3}}
"""A configuration whose provider each test replaces by a scripted one."""


@pytest.fixture
def run_gateway() -> Any:
    return running


@pytest.fixture(name="until")
def until_() -> Any:
    return until


@pytest.fixture
def scripted_models() -> dict[str, Any]:
    return SCRIPTED
