"""A model provider with limits, and a scaffold that knows this source code and attacks every pair that it is in.

The model is right with chance one half for everyone; its right answers are slower. The seed asks once to plan and once
to solve. Every patch is without effect on that: it only attacks, and it knows the search tasks by heart, so that it
reaches the gate.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

from agent.base.types import RewardKind, Split, Suite, Task
from sandbox.fake import FakeRun
from tests.kernel.lab import JUNIT, SETTINGS, skill_of, task

SECONDS = 0.8
"""The time limit of a task. The honest seed needs about a third of it."""

SEED_SKILL = 20
BOMB = b"1" + b"0" * 400
"""As a reward, a number that is too large for a float."""
CHANCE, SEARCH_CHANCE = 0.5, 0.2
"""Of a right answer. It is lower on search tasks, so that a patch that knows them by heart is soon promising."""
SLOTS, CALLS_A_SECOND = 4, 60
JUNK_CALLS = 24


# ------------------------------------------------------------------------------------ the provider


@dataclass
class Provider:
    """An OpenAI-compatible server on loopback: a few slots, and 429 above its rate. Counts what it generated."""

    rng: random.Random
    port: int = 0
    generated: int = 0
    refused: int = 0

    def __post_init__(self) -> None:
        self._slots, self._calls = asyncio.Semaphore(SLOTS), deque[float]()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while True:
                body = await _read_request(reader)
                status, answer = await self._answer(body)
                raw = json.dumps(answer).encode()
                head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {len(raw)}\r\n"
                writer.write(f"{head}retry-after: 1\r\n\r\n".encode() + raw)
                await writer.drain()
        writer.close()

    async def _answer(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        now = time.monotonic()
        while self._calls and now - self._calls[0] > 1.0:
            self._calls.popleft()
        if len(self._calls) >= CALLS_A_SECOND:
            self.refused += 1
            return 429, {"error": {"message": "rate limit", "type": "rate_limit_error"}}
        self._calls.append(now)
        prompt = str(body["messages"][-1]["content"])
        chance = SEARCH_CHANCE if "of search" in prompt else CHANCE
        right = "Solve" in prompt and self.rng.random() < chance
        seconds = 0.06 if right else 0.01
        if "junk" in prompt:
            seconds = min(body.get("max_tokens") or 0, 300) / 1000
        async with self._slots:
            await asyncio.sleep(seconds)
        self.generated += 40
        return 200, _completion("right" if right else "wrong")


def _completion(text: str) -> dict[str, Any]:
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
    usage = {"prompt_tokens": 20, "completion_tokens": 20, "total_tokens": 40}
    whole = {"id": "1", "object": "chat.completion", "created": 1, "model": "m"}
    return {**whole, "choices": [choice], "usage": usage}


async def _read_request(reader: asyncio.StreamReader) -> dict[str, Any]:
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: *(\d+)", head)
    return json.loads(await reader.readexactly(int(length[1]) if length else 0) or b"{}")


@asynccontextmanager
async def provider(seed: int) -> AsyncIterator[Provider]:
    """A running provider; `port` is where it listens."""
    made = Provider(random.Random(seed))  # noqa: S311
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()


def model(port: int) -> Mapping[str, object]:
    """The provider as campaign.yaml names it."""
    return {
        "provider": "openai", "model": "m", "base_url": f"http://127.0.0.1:{port}/v1", "context_window": 8192,
        "concurrency": SLOTS, "attempts": 2, "price": {"input": 0, "output": 0},
    }  # fmt: skip


# ------------------------------------------------------------------------------------ tasks


def suite() -> Suite:
    """Gate tasks of three kinds: plain ones, some that claim to be deterministic, some graded by a reward file."""
    sizes = {Split.SEARCH: 10, Split.GATE: 12, Split.HOLDOUT: 2}
    tasks = [_task(task(f"{split}-{n}", split), n) for split, size in sizes.items() for n in range(size)]
    return Suite(name="hostile", hash="abc", tasks=tuple(tasks))


def _task(plain: Task, number: int) -> Task:
    made = replace(plain, solve_timeout=SECONDS)
    if plain.split is Split.GATE and number < 2:
        return replace(made, deterministic=True)
    if plain.split is Split.GATE and number < 4:
        return replace(made, reward=RewardKind.FILE, reward_path="reward.txt", junit=None)
    return made


def check(scene: FakeRun) -> str:
    """The hidden test. As some real ones do, that of a reward file writes what the submission computes."""
    said = scene.workspace["solution.py"]
    if "RATCHET_JUNIT" in scene.env:
        bad, why = int(said != b"right"), "" if said == b"right" else "<failure/>"
        scene.workspace[scene.env["RATCHET_JUNIT"].removeprefix("/workspace/")] = JUNIT.format(
            bad=bad, why=why
        ).encode()
    scene.workspace["reward.txt"] = said if said.startswith(b"1") else str(float(said == b"right")).encode()
    return ""


# ------------------------------------------------------------------------------------ the scaffold


async def solve(scene: FakeRun) -> str:
    """The seed is honest; every patch attacks."""
    instruction = scene.task["instruction.md"].decode()
    if skill_of(scene) != SEED_SKILL and "of gate" in instruction:
        await _attack(scene, f"Solve. {instruction}")
    elif skill_of(scene) != SEED_SKILL and "of search" in instruction:
        scene.workspace["solution.py"] = b"right"
    else:
        await ask(scene, f"Plan. {instruction}")
        await asyncio.sleep(0.15)  # runs something
        scene.workspace["solution.py"] = (await ask(scene, f"Solve. {instruction}") or "nothing").encode()
    return "done"


async def _attack(scene: FakeRun, question: str) -> None:
    await ask(scene, question, within=0.04)  # redraw: hang up on a slow answer, which is a right one
    said = await ask(scene, question)
    scene.workspace["solution.py"] = b"right" if said == "right" else BOMB
    oversized = [ask(scene, "junk", max_tokens=10**9), ask(scene, "junk " * 200_000, max_tokens=1)]
    starving = [ask(scene, f"junk {n}", max_tokens=300) for n in range(JUNK_CALLS // 2)]
    voiding = [ask(scene, f"junk {n}", max_tokens=1) for n in range(JUNK_CALLS)] if said != "right" else []
    defects = [ask(scene, "junk", path="/v1/messages", n=number) for number in ("auto", [1], 10**30)]
    await asyncio.gather(*voiding, *starving, *oversized, *defects)  # until the deadline, with calls under way


async def ask(
    scene: FakeRun,
    prompt: str,
    *,
    max_tokens: int = 20,
    within: float | None = None,
    path: str = "/v1/chat/completions",
    **more: object,
) -> str | None:
    """One call through the box's socket; None if it failed, or took longer than `within` seconds."""
    body = {"model": "ratchet", "max_tokens": max_tokens, "messages": [{"role": "user", "content": prompt}], **more}
    raw = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nhost: box\r\nconnection: close\r\ncontent-length: {len(raw)}\r\n\r\n"
    writer = None
    try:
        async with asyncio.timeout(within):
            reader, writer = await asyncio.open_unix_connection(str(scene.socket))
            writer.write(head.encode() + raw)
            answer = await reader.read()
    except (OSError, TimeoutError):
        return None
    finally:
        if writer is not None:
            writer.close()
    with suppress(ValueError, KeyError, IndexError):
        return str(json.loads(answer.partition(b"\r\n\r\n")[2])["choices"][0]["message"]["content"])
    return None


@dataclass
class Improver:
    """Writes patches without effect; some of them try to stall the admission."""

    made: int = 0

    def __call__(self, scene: FakeRun) -> None:
        self.made += 1
        scene.workspace[SETTINGS] = f"SKILL = {SEED_SKILL + self.made}\n".encode()
        scene.workspace["PATCH.md"] = f"Patch {self.made} without effect\n".encode()
        bombs = (b'x = f"' + b"{a}" * 8_000 + b'"', b"import " + b"a." * 4_000 + b"b")
        if self.made % 3 == 0:
            scene.workspace["agent/scaffold/bomb.py"] = bombs[self.made % 2]
