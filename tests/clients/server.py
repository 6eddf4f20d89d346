"""A model provider on loopback or a Unix socket that answers by a script and keeps every request it gets.

It speaks OpenAI Chat Completions and Responses and Anthropic Messages, streamed and not, and uses nothing of Ratchet:
what a client sends to it, and what the client makes of its answers, is a fact about the client alone. Its answers
carry reasoning in the form of each dialect, so that a second request shows how the client sends reasoning back.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

Json = dict[str, Any]
THOUGHT = "a thought"
SIGNATURE = "c2lnbmF0dXJl"
SEALED = "c2VhbGVk"


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One scripted answer: a text, a tool call, or both.

    `custom` and `namespace` are the Responses dialect's: the input of a free-text tool, and the group of a tool.
    """

    text: str = ""
    tool: str | None = None
    arguments: Json = field(default_factory=dict)
    custom: str | None = None
    namespace: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """One request as it came."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: Any


def in_turn(steps: tuple[Step, ...], aside: str | None = None) -> Callable[[Json], Step]:
    """Answer requests in turn; the last step repeats. A request without tools gets `aside`, if given.

    Clients ask for titles and summaries in calls without tools: these must not use up the script.
    """
    left = list(steps)

    def choose(body: Json) -> Step:
        if aside is not None and not body.get("tools"):
            return Step(text=aside)
        return left.pop(0) if len(left) > 1 else left[0]

    return choose


class Scripted:
    """The provider: `choose` gives the answer to a request, `seen` keeps what came."""

    def __init__(self, choose: Callable[[Json], Step]) -> None:
        self.seen: list[Seen] = []
        self._choose = choose

    def app(self) -> Starlette:
        """The ASGI app."""
        return Starlette(routes=[Route("/{path:path}", self._answer, methods=["GET", "POST", "HEAD"])])

    async def _answer(self, request: Request) -> Response:
        raw = await request.body()
        body = json.loads(raw) if raw else None
        path = request.url.path
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.seen.append(Seen(method=request.method, path=path, query=request.url.query, headers=headers, body=body))
        if path.endswith("/count_tokens"):
            return JSONResponse({"input_tokens": 100})
        if request.method != "POST" or not isinstance(body, dict):
            return self._catalogue(path)
        for ending, speak in _DIALECTS.items():
            if path.endswith(ending):
                return _sent(body, *speak(self._choose(body), len(self.seen), str(body.get("model"))))
        return JSONResponse({"error": {"message": "not served", "type": "not_found_error"}}, status_code=404)

    def _catalogue(self, path: str) -> Response:
        if path.rstrip("/").endswith("/models"):
            return JSONResponse({"object": "list", "data": [{"id": "small", "object": "model", "owned_by": "x"}]})
        return JSONResponse({"error": {"message": "not served", "type": "not_found_error"}}, status_code=404)


def completion(step: Step, number: int, model: str) -> Json:
    """A step as a chat completion."""
    return _chat(step, number, model)[0]


def _sent(body: Json, answer: Json, events: Iterator[Json], done: bytes) -> Response:
    if not body.get("stream"):
        return JSONResponse(answer)

    def lines() -> Iterator[bytes]:
        for event in events:
            name = f"event: {event['type']}\n" if "type" in event else ""
            yield f"{name}data: {json.dumps(event)}\n\n".encode()
        yield done

    return StreamingResponse(lines(), media_type="text/event-stream")


def _chat(step: Step, number: int, model: str) -> tuple[Json, Iterator[Json], bytes]:
    message: Json = {"role": "assistant", "content": step.text or None, "reasoning_content": THOUGHT}
    if step.tool:
        function = {"name": step.tool, "arguments": json.dumps(step.arguments)}
        message["tool_calls"] = [{"id": f"call_{number}", "type": "function", "function": function}]
    finish = "tool_calls" if step.tool else "stop"
    usage = {"prompt_tokens": 20, "completion_tokens": 10, "total_tokens": 30}
    head: Json = {"id": f"chatcmpl-{number}", "created": 1, "model": model}
    answer = {
        **head,
        "object": "chat.completion",
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": usage,
    }

    def events() -> Iterator[Json]:
        chunk = {**head, "object": "chat.completion.chunk"}
        deltas: list[Json] = [{"role": "assistant", "content": ""}, {"reasoning_content": THOUGHT}]
        deltas += [{"content": step.text}] if step.text else []
        deltas += [{"tool_calls": [{"index": 0, **call}]} for call in message.get("tool_calls", ())]
        for delta in deltas:
            yield {**chunk, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
        yield {**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}
        yield {**chunk, "choices": [], "usage": usage}

    return answer, events(), b"data: [DONE]\n\n"


def _messages(step: Step, number: int, model: str) -> tuple[Json, Iterator[Json], bytes]:
    content: list[Json] = [{"type": "thinking", "thinking": THOUGHT, "signature": SIGNATURE}]
    content += [{"type": "text", "text": step.text}] if step.text else []
    if step.tool:
        content.append({"type": "tool_use", "id": f"toolu_{number}", "name": step.tool, "input": step.arguments})
    reason = "tool_use" if step.tool else "end_turn"
    usage = {"input_tokens": 20, "output_tokens": 10}
    answer: Json = {
        "id": f"msg_{number}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        "stop_reason": reason,
        "stop_sequence": None,
        "usage": usage,
    }

    def events() -> Iterator[Json]:
        yield {"type": "message_start", "message": {**answer, "content": [], "stop_reason": None}}
        for index, block in enumerate(content):
            yield from _block(index, block)
        yield {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, "usage": usage}
        yield {"type": "message_stop"}

    return answer, events(), b""


def _block(index: int, block: Json) -> Iterator[Json]:
    filled: Json = {
        "thinking": ({"thinking": "", "signature": ""}, [{"type": "thinking_delta", "thinking": THOUGHT}]),
        "text": ({"text": ""}, [{"type": "text_delta", "text": block.get("text")}]),
        "tool_use": ({"input": {}}, [{"type": "input_json_delta", "partial_json": json.dumps(block.get("input"))}]),
    }
    empty, deltas = filled[block["type"]]
    if block["type"] == "thinking":
        deltas.append({"type": "signature_delta", "signature": SIGNATURE})
    yield {"type": "content_block_start", "index": index, "content_block": {**block, **empty}}
    for delta in deltas:
        yield {"type": "content_block_delta", "index": index, "delta": delta}
    yield {"type": "content_block_stop", "index": index}


def _responses(step: Step, number: int, model: str) -> tuple[Json, Iterator[Json], bytes]:
    thought = [{"type": "summary_text", "text": THOUGHT}]
    output: list[Json] = [{"id": f"rs_{number}", "type": "reasoning", "summary": thought, "encrypted_content": SEALED}]
    if step.text:
        said = [{"type": "output_text", "text": step.text, "annotations": []}]
        item = {"id": f"msg_{number}", "type": "message", "role": "assistant", "status": "completed"}
        output.append({**item, "content": said})
    if step.tool:
        output.append(_called(step, number))
    answer: Json = {
        "id": f"resp_{number}",
        "object": "response",
        "created_at": 1,
        "status": "completed",
        "model": model,
        "output": output,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "error": None,
        "incomplete_details": None,
        "usage": {
            "input_tokens": 20,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": 10,
            "output_tokens_details": {"reasoning_tokens": 5},
            "total_tokens": 30,
        },
    }
    return answer, _numbered(_response_events(answer)), b""


def _called(step: Step, number: int) -> Json:
    item: Json = {"id": f"fc_{number}", "call_id": f"call_{number}", "name": step.tool, "status": "completed"}
    item |= {"namespace": step.namespace} if step.namespace else {}
    if step.custom is not None:
        return {**item, "type": "custom_tool_call", "id": f"ctc_{number}", "input": step.custom}
    return {**item, "type": "function_call", "arguments": json.dumps(step.arguments)}


def _numbered(events: Iterator[Json]) -> Iterator[Json]:
    for number, event in enumerate(events):
        yield {**event, "sequence_number": number}


def _response_events(answer: Json) -> Iterator[Json]:
    begun = {**answer, "status": "in_progress", "output": [], "usage": None}
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    for index, item in enumerate(answer["output"]):
        at: Json = {"output_index": index, "item_id": item["id"]}
        yield {"type": "response.output_item.added", "output_index": index, "item": _empty(item)}
        yield from _filling(item, at)
        yield {"type": "response.output_item.done", "output_index": index, "item": item}
    yield {"type": "response.completed", "response": answer}


def _empty(item: Json) -> Json:
    hollow: Json = {
        "reasoning": {"summary": []},
        "message": {"content": [], "status": "in_progress"},
        "function_call": {"arguments": "", "status": "in_progress"},
        "custom_tool_call": {"input": "", "status": "in_progress"},
    }
    return {**item, **hollow[item["type"]]}


def _filling(item: Json, at: Json) -> Iterator[Json]:
    kind = item["type"]
    if kind == "reasoning":
        here = {**at, "summary_index": 0}
        part = item["summary"][0]
        yield {"type": "response.reasoning_summary_part.added", **here, "part": {**part, "text": ""}}
        yield {"type": "response.reasoning_summary_text.delta", **here, "delta": part["text"]}
        yield {"type": "response.reasoning_summary_text.done", **here, "text": part["text"]}
        yield {"type": "response.reasoning_summary_part.done", **here, "part": part}
    elif kind == "message":
        here, part = {**at, "content_index": 0}, item["content"][0]
        yield {"type": "response.content_part.added", **here, "part": {**part, "text": ""}}
        yield {"type": "response.output_text.delta", **here, "delta": part["text"], "logprobs": []}
        yield {"type": "response.output_text.done", **here, "text": part["text"], "logprobs": []}
        yield {"type": "response.content_part.done", **here, "part": part}
    else:
        name, said = ("function_call_arguments", "arguments") if kind == "function_call" else (kind + "_input", "input")
        yield {"type": f"response.{name}.delta", **at, "delta": item[said]}
        yield {"type": f"response.{name}.done", **at, said: item[said], "name": item["name"]}


_DIALECTS = {"/chat/completions": _chat, "/messages": _messages, "/responses": _responses}
