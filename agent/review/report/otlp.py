"""Trials and their model calls as OpenTelemetry spans, in the JSON of OTLP, with the GenAI conventions.

One trace for each trial: a span `invoke_agent`, with the verdict as an event `gen_ai.evaluation.result`, and a span
`chat` for each model call. https://opentelemetry.io/docs/specs/semconv/gen-ai/ names the attributes. Ids are made from
the trial's, so that exporting twice gives the same spans.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any

from agent.base.types import Call, Trial
from agent.models.dialects import turns
from agent.models.dialects.transcript import MESSAGE_CHARS, Step, middle_out, steps
from agent.models.dialects.turns import Role, Turn
from agent.models.ports import OK, Json
from agent.review.report.traces import Trace

INTERNAL, CLIENT = 1, 3
ERROR = 2
_SHORT, _LONG = 8, 16


def traces_data(trace: Trace) -> Json:
    """One trace as a message of `opentelemetry.proto.trace.v1.TracesData`."""
    resource = {
        "service.name": "ratchet",
        "service.version": version("ratchet-rsi"),
        "ratchet.campaign": trace.campaign,
    }
    scope = {"scope": {"name": "ratchet"}, "spans": [_root(trace), *_spans(trace)]}
    return {"resourceSpans": [{"resource": {"attributes": _attributes(resource)}, "scopeSpans": [scope]}]}


def _root(trace: Trace) -> Json:
    """The span of the whole trial or proposal."""
    trial = trace.trial
    said = {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": "ratchet scaffold",
        "gen_ai.conversation.id": trace.id,
        "ratchet.candidate": trace.candidate,
        "ratchet.refused_calls": sum(one.times for one in trace.refusals),
        **(_about(trial) if trial is not None else {"ratchet.purpose": "proposal" if trace.shown else "void"}),
    }
    span = _span(trace, "", f"invoke_agent {trial.task if trial is not None else trace.id}", INTERNAL, said)
    span |= _times(trace.start, trace.end)
    return span | ({"events": [_verdict(trace, trial)]} if trial is not None else {})


def _about(trial: Trial) -> Json:
    return {
        "gen_ai.agent.version": trial.tree,
        "ratchet.task": trial.task,
        "ratchet.purpose": str(trial.purpose),
        "ratchet.seed": trial.seed,
        "gen_ai.usage.input_tokens": trial.usage.tokens_in,
        "gen_ai.usage.output_tokens": trial.usage.tokens_out,
        "ratchet.cost_usd": trial.usage.dollars,
    }


def _verdict(trace: Trace, trial: Trial) -> Json:
    said = {
        "gen_ai.evaluation.name": "score",
        "gen_ai.evaluation.score.value": float(trial.score),
        "gen_ai.evaluation.explanation": trial.reason if trace.shown else None,
    }
    return {
        "name": "gen_ai.evaluation.result",
        "timeUnixNano": _nanoseconds(trace.end),
        "attributes": _attributes(said),
    }


def _spans(trace: Trace) -> Iterator[Json]:
    """A span for each call."""
    found = zip(trace.calls, steps([call for _, call in trace.calls]), strict=True)
    for number, ((at, call), step) in enumerate(found, 1):
        said = _about_call(call, trace.id) | (_said(step) if trace.shown else {})
        span = _span(trace, str(number), f"chat {call.model}", CLIENT, said) | _times(at - call.seconds, at)
        span["parentSpanId"] = _id(_SHORT, trace, "")
        if call.status != OK:
            span["status"] = {"code": ERROR, "message": step.refusal if trace.shown else ""}
        yield span


def _about_call(call: Call, trial: str) -> Json:
    provider, _, model = call.model.partition("/")
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": provider,
        "gen_ai.request.model": model,
        "gen_ai.conversation.id": trial,
        "gen_ai.usage.input_tokens": call.tokens_in,
        "gen_ai.usage.output_tokens": call.tokens_out,
        "error.type": None if call.status == OK else str(call.status),
        "ratchet.role": call.role,
        "ratchet.shared_answer": not call.fresh,
        "ratchet.retries": call.retries,
        "ratchet.cost_usd": call.dollars,
    }


def _said(step: Step) -> Json:
    """What is new in a call, and its answer. Viewers show a trace's spans in order, so nothing is missed."""
    system = [_parts(turn) for turn in step.new if turn.role is Role.SYSTEM]
    asked = [{"role": turn.role, "parts": _parts(turn)} for turn in step.new if turn.role is not Role.SYSTEM]
    reason = turns.finish(step.call)
    answers = [{"role": turn.role, "parts": _parts(turn), "finish_reason": reason} for turn in step.answers]
    said = {
        "gen_ai.system_instructions": [part for parts in system for part in parts],
        "gen_ai.input.messages": asked,
        "gen_ai.output.messages": answers,
    }
    texts: Json = {name: json.dumps(value, ensure_ascii=False) for name, value in said.items() if value}
    return texts | {"ratchet.messages.sent_before": step.again}


def _parts(turn: Turn) -> list[Json]:
    """A message as the parts of the GenAI conventions."""
    text = middle_out(turn.text, MESSAGE_CHARS)
    if turn.role is Role.TOOL:
        return [{"type": "tool_call_response", "id": turn.answers, "response": text}]
    parts = [{"type": "reasoning", "content": middle_out(turn.thinking, MESSAGE_CHARS)}] if turn.thinking else []
    parts += [{"type": "text", "content": text}] if text else []
    return parts + [
        {"type": "tool_call", "id": tool.id, "name": tool.name, "arguments": middle_out(tool.arguments, MESSAGE_CHARS)}
        for tool in turn.tools
    ]


# ------------------------------------------------------------------------------------ OTLP


def _span(trace: Trace, number: str, name: str, kind: int, said: Mapping[str, Any]) -> Json:
    return {
        "traceId": _id(_LONG, trace, ""),
        "spanId": _id(_SHORT, trace, number),
        "name": name,
        "kind": kind,
        "attributes": _attributes(said),
    }


def _id(size: int, trace: Trace, number: str) -> str:
    """An id of so many bytes in hexadecimal digits, as OTLP writes it in JSON."""
    return hashlib.sha256(f"{trace.campaign}\0{trace.id}\0{number}".encode()).hexdigest()[: 2 * size]


def _times(start: float, end: float) -> Json:
    return {"startTimeUnixNano": _nanoseconds(start), "endTimeUnixNano": _nanoseconds(end)}


def _nanoseconds(seconds: float) -> str:
    return str(round(seconds * 1e9))


def _attributes(said: Mapping[str, Any]) -> list[Json]:
    """Those that have a value."""
    return [{"key": name, "value": _value(value)} for name, value in said.items() if value is not None]


def _value(value: object) -> Json:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    return {"stringValue": str(value)}
