"""What an endpoint really does: tiny calls for `ratchet models test`, under the gateway's own rules."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field

from agent.base.errors import InfrastructureError
from agent.base.types import CallRecord, CallScope
from agent.config.models import ModelConfig, ModelsConfig
from agent.models.gateway.record import MemoryRecord
from agent.models.gateway.server import GatewayServer
from agent.models.gateway.session import BoxSession
from agent.models.ports import BadCall, Dialect, Json

_ASK = [{"role": "user", "content": "Name one colour. Answer with one word."}]
_SCHEMA: Json = {
    "type": "object",
    "properties": {"colour": {"type": "string", "enum": ["red", "green"]}},
    "required": ["colour"],
    "additionalProperties": False,
}
_TOOL: Json = {"name": "paint", "description": "Paint in a colour", "parameters": _SCHEMA}
TRIAL = "models test"


@dataclass(frozen=True, kw_only=True, slots=True)
class Tried:
    """One model of one role, tried. `seconds` is the first call's latency; a feature that failed says why."""

    role: str
    model: str
    seconds: float | None = None
    tokens_in: int = 0
    tokens_out: int = 0
    dollars: float | None = None
    error: str | None = None
    features: dict[str, bool] = field(default_factory=dict)


async def try_models(models: ModelsConfig, record: CallRecord | None = None) -> list[Tried]:
    """Try every model of every role with a handful of tiny calls. Streaming is the gateway's own, so always there.

    Raises:
        UserError: a key, an extra or a script is missing.
    """
    apart: dict[str, tuple[ModelConfig, ...]] = {
        f"{role}/{i}": (model,) for role in models.roles for i, model in enumerate(models.of(role))
    }
    names = {name: f"{model.provider}/{model.name}" for name, (model, *_) in apart.items()}
    async with GatewayServer(ModelsConfig(apart), record or MemoryRecord()) as gateway:
        return [await _try(gateway, name, names[name]) for name in apart]


async def _try(gateway: GatewayServer, name: str, model: str) -> Tried:
    role = name.rpartition("/")[0]
    session = BoxSession(CallScope(trial=TRIAL, models={"m": name}), _nothing)
    start = time.perf_counter()
    try:
        await gateway.call(session, Dialect.CHAT, _body())
    except (BadCall, InfrastructureError) as error:
        return Tried(role=role, model=model, error=gateway.redactor.text(str(error)))
    seconds, used = time.perf_counter() - start, session.usage
    return Tried(
        role=role,
        model=model,
        seconds=seconds,
        tokens_in=used.tokens_in,
        tokens_out=used.tokens_out,
        dollars=None if used.unpriced else used.dollars,
        features={
            "tools": await _calls_a_tool(gateway, session),
            "schema": await _keeps_a_schema(gateway, session),
            "seed": await _keeps_a_seed(gateway, session),
        },
    )


def _body(**more: object) -> bytes:
    return json.dumps({"model": "m", "messages": _ASK, "max_tokens": 32, **more}).encode()


async def _message(gateway: GatewayServer, session: BoxSession, **more: object) -> Json:
    try:
        answer = await gateway.call(session, Dialect.CHAT, _body(**more))
    except (BadCall, InfrastructureError):
        return {}
    message: Json = answer.body["choices"][0]["message"]
    return {} if answer.left_out else message


async def _calls_a_tool(gateway: GatewayServer, session: BoxSession) -> bool:
    message = await _message(gateway, session, tools=[{"type": "function", "function": _TOOL}], tool_choice="required")
    return bool(message.get("tool_calls"))


async def _keeps_a_schema(gateway: GatewayServer, session: BoxSession) -> bool:
    wanted = {"type": "json_schema", "json_schema": {"name": "colour", "schema": _SCHEMA, "strict": True}}
    message = await _message(gateway, session, response_format=wanted)
    try:
        return json.loads(message.get("content") or "")["colour"] in ("red", "green")
    except (ValueError, KeyError, TypeError):
        return False


async def _keeps_a_seed(gateway: GatewayServer, session: BoxSession) -> bool:
    """Equal seeds, equal answers; a hot temperature makes chance agreement unlikely."""
    first, second = [await _message(gateway, session, seed=7, temperature=1.0) for _ in range(2)]
    return bool(first) and first.get("content") == second.get("content")


async def _nothing(session: BoxSession) -> None:
    """A session that never listened needs no closing."""
