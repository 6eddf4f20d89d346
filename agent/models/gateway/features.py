"""What an endpoint really does: small calls for `ratchet models test`, under the gateway's own rules."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from agent.base.errors import InfrastructureError, UserError
from agent.base.types import CallRecord, CallScope
from agent.config.models import ModelConfig, ModelsConfig
from agent.models.gateway import first, preflight
from agent.models.gateway.record import MemoryRecord
from agent.models.gateway.server import GatewayServer
from agent.models.gateway.session import BoxSession
from agent.models.gateway.upstream import Upstream
from agent.models.ports import BadCall, Dialect, Json
from agent.models.providers.discovery import with_windows

_ASK = [{"role": "user", "content": "Name one colour. Answer with one word."}]
_SCHEMA: Json = {
    "type": "object",
    "properties": {"colour": {"type": "string", "enum": ["red", "green"]}},
    "required": ["colour"],
    "additionalProperties": False,
}
_TOOL: Json = {"name": "paint", "description": "Paint in a colour", "parameters": _SCHEMA}
_GRAMMAR = 'root ::= "{\\"colour\\": \\"" ("red" | "green") "\\"}"'
_TOKENS, _EMBEDDED_TOKENS = 1024, 32
"""A reasoning model needs more than a handful; the embedded one says nothing new in more."""
_NEEDLE = "heliotrope"
_SMALLEST_WINDOW = 1024
_SHARE = 0.55
_LOST = 0.8
TRIAL = "models test"


@dataclass(frozen=True, kw_only=True, slots=True)
class Tried:
    """One model of one role, tried. `seconds` is the first call's latency; `notes` say how it differs from others."""

    role: str
    model: str
    seconds: float | None = None
    tokens_in: int = 0
    tokens_out: int = 0
    dollars: float | None = None
    error: str | None = None
    features: dict[str, bool] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


async def try_models(
    models: ModelsConfig, record: CallRecord | None = None, told: Callable[[Tried], object] = lambda _: None
) -> list[Tried]:
    """Try every model of every role with a handful of calls. Streaming is the gateway's own, so always there.

    `told` hears of each as soon as it is tried.

    Raises:
        UserError: a key, an extra or a script is missing.
    """
    known = await asyncio.to_thread(with_windows, models)
    apart: dict[str, tuple[ModelConfig, ...]] = {
        f"{role}/{i}": (model,) for role in known.roles for i, model in enumerate(known.of(role))
    }
    stated = {f"{role}/{i}": model for role in models.roles for i, model in enumerate(models.of(role))}
    async with GatewayServer(ModelsConfig(apart), record or MemoryRecord()) as gateway:
        tried = []
        for name in apart:
            tried.append(await _Trial(gateway, name, stated[name]).tried())
            told(tried[-1])
        return tried


class _Trial:
    """One model on trial: its own role in a gateway, and a box that only it answers. `stated`: as configured."""

    def __init__(self, gateway: GatewayServer, name: str, stated: ModelConfig) -> None:
        self._gateway, self._stated = gateway, stated
        self._upstream: Upstream = gateway.upstreams(name)[0]
        self._model = self._upstream.model
        self._session = BoxSession(CallScope(trial=TRIAL, models={"m": name}), _nothing)
        self._tried = Tried(role=name.rpartition("/")[0], model=f"{self._model.provider}/{self._model.name}")
        self._notes: list[str] = []

    async def tried(self) -> Tried:
        """What came of it."""
        start = time.perf_counter()
        try:
            answer = await self._call()
        except (BadCall, InfrastructureError) as error:
            return self._failed(str(error))
        seconds, used = time.perf_counter() - start, self._session.usage
        if (why := first.empty(answer)) is not None:
            return self._failed(why)
        if (cut := await self._truncated()) is not None:
            return self._failed(cut)
        features = {
            "tools": await self._calls_a_tool(),
            "schema": await self._keeps_a_schema(),
            "seed": await self._keeps_a_seed(),
        }
        return Tried(
            role=self._tried.role,
            model=self._tried.model,
            seconds=seconds,
            tokens_in=used.tokens_in,
            tokens_out=used.tokens_out,
            dollars=None if used.unpriced else used.dollars,
            features=features,
            notes=(*await self._left_out(), *self._window(), *self._notes),
        )

    def _failed(self, why: str) -> Tried:
        return Tried(role=self._tried.role, model=self._tried.model, error=self._gateway.redactor.text(why))

    async def _call(self, **more: object) -> Json:
        tokens = _EMBEDDED_TOKENS if self._model.provider == "embedded" else _TOKENS
        body = {"model": "m", "messages": _ASK, "max_tokens": min(tokens, self._model.output_limit), **more}
        answer = await self._gateway.call(self._session, Dialect.CHAT, json.dumps(body).encode())
        return {} if set(answer.left_out) & more.keys() else answer.body

    async def _message(self, **more: object) -> Json:
        """The message of an answer; empty if the call failed, or if one of its parameters was left out."""
        try:
            answer = await self._call(**more)
        except (BadCall, InfrastructureError):
            return {}
        message: Json = answer["choices"][0]["message"] if answer else {}
        return message

    async def _calls_a_tool(self) -> bool:
        """Forced, as servers with a grammar can; else of its own will, as others only do."""
        tools = [{"type": "function", "function": _TOOL}]
        if (await self._message(tools=tools, tool_choice="required")).get("tool_calls"):
            return True
        asked = [{"role": "user", "content": "Use the tool to paint in red."}]
        if not (await self._message(tools=tools, messages=asked)).get("tool_calls"):
            return False
        self._notes.append("calls tools of its own will, not when tool_choice forces it")
        return True

    async def _keeps_a_schema(self) -> bool:
        """As a JSON schema, which most servers have; else by a grammar, which llama.cpp has."""
        wanted = {"type": "json_schema", "json_schema": {"name": "colour", "schema": _SCHEMA, "strict": True}}
        if _is_colour(await self._message(response_format=wanted)):
            return True
        if self._upstream.provider.native is Dialect.CHAT and _is_colour(await self._message(grammar=_GRAMMAR)):
            self._notes.append("keeps a schema only as `grammar`, not as response_format")
        elif _is_colour(await self._message(response_format={"type": "json_object"}, messages=_IN_JSON)):
            self._notes.append("answers in JSON, but keeps no schema")
        return False

    async def _keeps_a_seed(self) -> bool:
        """Equal seeds, equal answers; a hot temperature makes chance agreement unlikely."""
        first, second = [await self._message(seed=7, temperature=1.0) for _ in range(2)]
        return bool(first) and first.get("content") == second.get("content")

    async def _left_out(self) -> list[str]:
        """What the model does not take of a request like the scaffold's."""
        if self._model.provider not in preflight.NETWORKED:
            return []
        try:
            return await preflight.examine(self._upstream)
        except (BadCall, InfrastructureError) as error:
            return [f"does not answer a request like the scaffold's: {error}"]

    def _window(self) -> list[str]:
        window = self._model.context_window
        if self._stated.context_window is None and window is not None:
            return [f"its server reports a window of {window} tokens, which is used"]
        return []

    async def _truncated(self) -> str | None:
        """Whether the server cuts long prompts without a word: then a word at their head is not found.

        Only servers at an address of their own are asked: a vendor refuses such a prompt, and bills a long one.
        """
        window = self._model.window
        if window is None or self._model.base_url is None or window < _SMALLEST_WINDOW:
            return None
        words = int(window * _SHARE)
        asked = f"The password is {_NEEDLE}.\n{' apple' * words}\nWhat is the password? Answer with that one word."
        try:
            tried = await preflight.ask(
                self._upstream, {"model": "m", "messages": [{"role": "user", "content": asked}]}
            )
        except (BadCall, InfrastructureError, UserError) as error:
            return f"refuses a prompt of about {words} tokens, though its window is {window}: {error}"
        message = tried.answer["choices"][0]["message"]
        if _NEEDLE in json.dumps(message).lower():
            return None
        usage = tried.answer.get("usage")
        read = usage.get("prompt_tokens") if isinstance(usage, dict) else None
        if isinstance(read, int) and 0 < read < _LOST * words:
            fix = "set num_ctx (Ollama: OLLAMA_CONTEXT_LENGTH; others: the server's own option)"
            return f"truncates at {read}: {fix}, or `context_window: {read}`"
        self._notes.append(f"did not find a word at the head of a prompt of about {words} tokens")
        return None


_IN_JSON = [{"role": "user", "content": 'Answer with the JSON object {"colour": "red"} and nothing else.'}]


def _is_colour(message: Json) -> bool:
    try:
        return json.loads(message.get("content") or "")["colour"] in ("red", "green")
    except (ValueError, KeyError, TypeError):
        return False


async def _nothing(session: BoxSession) -> None:
    """A session that never listened needs no closing."""
