"""What clients send, damaged at random: answered or refused, never a defect of the gateway, which would be void."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

from agent.base.types import CallScope
from agent.config.models import ModelsConfig
from agent.models.dialects.formats import FORMATS
from agent.models.gateway.record import MemoryRecord
from agent.models.gateway.server import GatewayServer
from agent.models.gateway.session import BoxSession
from agent.models.ports import BadCall, Dialect, Json, Question
from agent.models.providers.scripted import ScriptedProvider
from tests.clients.test_requests import CASES

BODIES = [(Dialect(case.dialect), case.request["body"]) for case in CASES if case.dialect]
ODD: list[Any] = [
    None, True, 0, -1, 1.5, 10**30, 1e308, "", "x", "\x00", "ratchet.e30=", "ratchet.bnVsbA==", "a" * 70, "auto",
    "required", [], {}, [None], [[]], [{}], {"a": {}}, {"type": "text"}, [{"type": "text", "text": None}],
    {"type": "function"}, {"type": "tool_use"}, {"type": "thinking", "thinking": 1, "signature": 2},
]  # fmt: skip
NAMES = [
    "type", "content", "name", "id", "role", "tool_calls", "function", "input", "arguments", "tools", "stop", "n",
    "format", "schema", "text", "call_id", "output", "namespace", "summary", "encrypted_content", "thinking",
    "signature", "cache_control", "max_tokens", "reasoning", "system", "metadata",
]  # fmt: skip


class Answers(ScriptedProvider):
    """Answers in one dialect; what it is asked must be JSON."""

    def __init__(self, native: Dialect) -> None:
        super().__init__(lambda _: "ok")
        self._native = native

    @property
    def native(self) -> Dialect:  # type: ignore[override]
        return self._native

    async def ask(self, question: Question) -> Json:
        json.dumps(question.body, allow_nan=False).encode()
        if self._native is Dialect.CHAT:
            return await super().ask(question)
        content = [{"type": "text", "text": "ok"}]
        usage = {"input_tokens": 3, "output_tokens": 1}
        head = {"id": "1", "type": "message", "role": "assistant", "stop_reason": "end_turn"}
        return {**head, "content": content, "usage": usage}


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every part of a JSON value."""
    if at:
        yield at
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inner:
        yield from places(part, (*at, key))


def part(body: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        body = body[key]
    return body


def damaged(rng: random.Random, body: Json) -> bytes:
    """A body with one to three parts replaced, removed, copied to another place or added."""
    made = copy.deepcopy(body)
    for _ in range(rng.choice((1, 1, 2, 3))):
        paths = list(places(made))
        *up, key = rng.choice(paths)
        parent = part(made, tuple(up))
        match rng.randrange(4):
            case 0:
                parent[key] = copy.deepcopy(rng.choice(ODD))
            case 1:
                del parent[key]
            case 2:
                parent[key] = copy.deepcopy(part(made, rng.choice(paths)))
            case _ if isinstance(parent, dict):
                parent[rng.choice(NAMES)] = copy.deepcopy(rng.choice(ODD))
            case _:
                parent.insert(key, copy.deepcopy(rng.choice(ODD)))
        if not made:
            break
    return json.dumps({**made, "model": "m"}).encode().replace(b"1e+308", rng.choice((b"1e308", b"1e999")))


async def closed(_: BoxSession) -> None:
    """A session that never listened needs no closing."""


async def status_of(gateway: GatewayServer, session: BoxSession, dialect: Dialect, raw: bytes) -> int:
    """What a box is told; anything but an answer or a refusal is raised."""
    try:
        answer = await gateway.call(session, dialect, raw)
    except BadCall as error:
        return error.status
    return 200 if b"".join(FORMATS[dialect].events(answer.body, answer.asked)) else 0


@pytest.mark.parametrize("native", [Dialect.CHAT, Dialect.MESSAGES])
async def test_no_damage_to_what_clients_send_is_a_defect_of_the_gateway(native: Dialect) -> None:
    rng, seen = random.Random(f"{native}"), list[int]()  # noqa: S311
    models = ModelsConfig.model_validate({"solver": {"provider": "replay", "context_window": 100_000, "attempts": 1}})
    async with GatewayServer(models, MemoryRecord(), providers={"solver": Answers(native)}) as gateway:
        for number in range(300):
            dialect, body = rng.choice(BODIES)
            raw = damaged(rng, body)
            session = BoxSession(CallScope(trial=f"t{number}", models={"m": "solver"}), closed)
            seen.append(await status_of(gateway, session, dialect, raw))
            assert session.fault is None, raw
    assert seen.count(200) > 50
    assert all(status == 200 or 400 <= status < 500 for status in seen)


@pytest.mark.parametrize("dialect", list(Dialect))
@pytest.mark.parametrize("number", ["auto", [1], {}, -1, 10**30, 1.5, True])
async def test_a_number_of_answers_that_makes_no_sense_voids_nothing(dialect: Dialect, number: Any) -> None:
    models = ModelsConfig.model_validate({"solver": {"provider": "replay"}})
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}], "input": "x", "max_tokens": 5, "n": number}
    async with GatewayServer(models, MemoryRecord(), providers={"solver": Answers(Dialect.CHAT)}) as gateway:
        session = BoxSession(CallScope(trial="t", models={"m": "solver"}), closed)
        assert await status_of(gateway, session, dialect, json.dumps(body).encode()) in (200, 400)
    assert session.fault is None
