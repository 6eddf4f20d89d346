"""A box speaks Responses, the provider is asked in Chat Completions, statelessly."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from agent.models.dialects import calls, chat, reasoning, rules
from agent.models.ports import Json

_SAME = ("model", "temperature", "top_p", "parallel_tool_calls", "prompt_cache_key")
_ENCRYPTED = "reasoning.encrypted_content"
_SEPARATOR = "__"
_SEARCH = "tool_search"
"""A tool of Responses whose name is its type; one that the client runs is a function like any other."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Tool:
    """A tool of a request under the one name that Chat Completions knows it by."""

    kind: str
    name: str
    namespace: str | None
    spec: Json

    @property
    def flat(self) -> str:
        return f"{self.namespace}{_SEPARATOR}{self.name}" if self.namespace else self.name


def request(body: Json, left: list[str]) -> Json:
    """The request as a chat request. Names of what is left out are added to `left`."""
    messages: list[Json] = []
    if body.get("instructions"):
        messages.append({"role": "system", "content": body["instructions"]})
    if isinstance(body["input"], str):
        messages.append({"role": "user", "content": body["input"]})
    else:
        messages += _messages(body["input"], left)
    made: Json = {name: body[name] for name in _SAME if body.get(name) is not None}
    made["messages"] = messages
    if tools := list(_tools(body)):
        made["tools"] = [_function(tool) for tool in tools]
    left += [f"include[{name[:100]}]" for name in body.get("include") or () if name != _ENCRYPTED]
    left += [f"reasoning.{name[:100]}" for name in body.get("reasoning") or {} if name != "effort"]
    return made | _choice(body.get("tool_choice")) | _format(body.get("text")) | _effort(body.get("reasoning"))


def _messages(items: list[Json], left: list[str]) -> list[Json]:
    """Items as messages: reasoning and calls belong to the assistant's message around them."""
    made: list[Json] = []
    kept: Json = {}
    for item in items:
        kind = item.get("type", "message")
        if kind == "additional_tools":
            continue
        if kind == "reasoning":
            kept = reasoning.unpack(item.get("encrypted_content"))
            continue
        if kind.endswith("_output"):
            made.append(_result(item, left))
        elif kind == "message":
            made.append({"role": item["role"], "content": _said(item["content"])})
        else:
            _add_call(made, _call(item))
        # One item of reasoning is for the message after it and for that message's calls.
        kept = kept if made[-1]["role"] == "assistant" else {}
        made[-1] = reasoning.restore(made[-1], kept)
    return made


def _result(item: Json, left: list[str]) -> Json:
    if item["type"] == "tool_search_output":
        said = "available now: " + ", ".join(tool.flat for tool in _flattened(item["tools"], "tools"))
    else:
        said = calls.result_text(item["output"], left)
    return {"role": "tool", "tool_call_id": item["call_id"], "content": said}


def _call(item: Json) -> Json:
    if item["type"] == "tool_search_call":
        name, given = _SEARCH, json.dumps(item["arguments"], ensure_ascii=False)
    else:
        name = f"{item['namespace']}{_SEPARATOR}{item['name']}" if item.get("namespace") else item["name"]
        given = item["arguments"] if item["type"] == "function_call" else json.dumps({"input": item["input"]})
    return {"id": item["call_id"], "type": "function", "function": {"name": name, "arguments": given}}


def _add_call(messages: list[Json], call: Json) -> None:
    if messages and messages[-1]["role"] == "assistant":
        last = messages[-1]
        messages[-1] = {**last, "tool_calls": [*last.get("tool_calls", []), call]}
    else:
        messages.append({"role": "assistant", "content": None, "tool_calls": [call]})


def _said(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(part["refusal" if part["type"] == "refusal" else "text"] for part in content)


def _tools(body: Json) -> Iterator[_Tool]:
    """Every tool that a request offers: at its head, in namespaces, or with an item of its conversation."""
    lists = [(body.get("tools") or (), "tools")]
    items = body.get("input")
    for index, item in enumerate(items if isinstance(items, list) else ()):
        if item.get("type") in ("additional_tools", "tool_search_output"):
            lists.append((item["tools"], f"input[{index}].tools"))
    found = {tool.flat: tool for tools, path in lists for tool in _flattened(tools, path)}
    yield from found.values()


def _flattened(tools: Sequence[Json], path: str) -> Iterator[_Tool]:
    for index, tool in enumerate(tools):
        inside = tool.get("tools") or () if tool["type"] == "namespace" else (tool,)
        namespace = tool["name"] if tool["type"] == "namespace" else None
        for one in inside:
            kind = one["type"]
            client_s = kind == _SEARCH and one.get("execution") == "client"
            if kind not in ("function", "custom") and not client_s:
                rules.refuse_tool(kind, f"{path}[{index}]")
            yield _Tool(kind=kind, name=one.get("name") or kind, namespace=namespace, spec=one)


def _function(tool: _Tool) -> Json:
    if tool.kind == "custom":
        return {"type": "function", "function": _custom(tool)}
    spec = {
        name: tool.spec[name] for name in ("description", "parameters", "strict") if tool.spec.get(name) is not None
    }
    return {"type": "function", "function": {"name": tool.flat, **spec}}


def _custom(tool: _Tool) -> Json:
    """A tool that takes free text, as a function with one string."""
    said = [tool.spec.get("description") or ""]
    form = tool.spec.get("format") or {}
    if form.get("definition"):
        said.append(f"The input must follow this {form.get('syntax', '')} grammar:\n{form['definition']}")
    schema = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}
    return {"name": tool.flat, "description": "\n\n".join(filter(None, said)), "parameters": schema}


def _choice(choice: Any) -> Json:
    if choice is None:
        return {}
    if isinstance(choice, dict):
        space = choice.get("namespace")
        name = f"{space}{_SEPARATOR}{choice['name']}" if space else choice["name"]
        return {"tool_choice": {"type": "function", "function": {"name": name}}}
    return {"tool_choice": choice}


def _format(text: Json | None) -> Json:
    if text is None:
        return {}
    made: Json = {"verbosity": text["verbosity"]} if text.get("verbosity") else {}
    wanted = text.get("format")
    if wanted is None or wanted["type"] == "text":
        return made
    if wanted["type"] == "json_object":
        return {**made, "response_format": {"type": "json_object"}}
    schema = {
        name: wanted[name] for name in ("name", "description", "schema", "strict") if wanted.get(name) is not None
    }
    return {**made, "response_format": {"type": "json_schema", "json_schema": schema}}


def _effort(wanted: Json | None) -> Json:
    return {"reasoning_effort": wanted["effort"]} if wanted and wanted.get("effort") else {}


def answer(reply: Json, body: Json) -> Json:
    """A chat answer as a response."""
    choice = reply["choices"][0]
    message, ident = choice["message"], str(reply.get("id"))
    cut = {"length": "max_output_tokens", "content_filter": "content_filter"}.get(choice["finish_reason"])
    status = "incomplete" if cut else "completed"
    return {
        "id": f"resp_{ident}",
        "object": "response",
        "created_at": reply.get("created") or 0,
        "status": status,
        "error": None,
        "incomplete_details": {"reason": cut} if cut else None,
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "metadata": body.get("metadata") or {},
        "model": reply.get("model"),
        "output": _output(message, ident, status, {tool.flat: tool for tool in _tools(body)}),
        "parallel_tool_calls": body.get("parallel_tool_calls") is not False,
        "previous_response_id": None,
        "store": False,
        "temperature": body.get("temperature"),
        "text": body.get("text") or {"format": {"type": "text"}},
        "tool_choice": body.get("tool_choice") or "auto",
        "tools": body.get("tools") or [],
        "top_p": body.get("top_p"),
        "truncation": "disabled",
        "usage": _usage(reply),
    }


def _output(message: Json, ident: str, status: str, tools: dict[str, _Tool]) -> list[Json]:
    output: list[Json] = []
    word = reasoning.pack(message)
    if word is not None:
        output.append(_thought(f"rs_{ident}", reasoning.text(message), word))
    parts = _parts(message)
    given = message.get("tool_calls") or ()
    if parts or not given:
        head = {"id": f"msg_{ident}", "type": "message", "role": "assistant", "status": status}
        output.append({**head, "content": parts})
    return output + [_item(call, f"{ident}_{i}", status, tools) for i, call in enumerate(given)]


def _thought(ident: str, said: str, word: str) -> Json:
    summary = [{"type": "summary_text", "text": said}] if said else []
    return {"id": ident, "type": "reasoning", "summary": summary, "encrypted_content": word}


def _parts(message: Json) -> list[Json]:
    parts: list[Json] = []
    said = chat.plain(message.get("content"))
    if said:
        parts.append({"type": "output_text", "text": said, "annotations": []})
    if message.get("refusal"):
        parts.append({"type": "refusal", "refusal": message["refusal"]})
    return parts


def _item(call: Json, ident: str, status: str, tools: dict[str, _Tool]) -> Json:
    function = call.get("function") or {}
    given = function.get("arguments")
    name = str(function.get("name"))
    tool = tools.get(name) or _Tool(kind="function", name=name, namespace=None, spec={})
    item = {"status": status, "call_id": call.get("id")}
    if tool.kind == _SEARCH:
        sought = {"execution": "client", "arguments": calls.arguments(given) or {}}
        return {"id": f"tsc_{ident}", "type": "tool_search_call", **item, **sought}
    item |= {"name": tool.name, **({"namespace": tool.namespace} if tool.namespace else {})}
    if tool.kind == "custom":
        inside = (calls.arguments(given) or {}).get("input")
        said = inside if isinstance(inside, str) else str(given or "")
        return {"id": f"ctc_{ident}", "type": "custom_tool_call", **item, "input": said}
    return {"id": f"fc_{ident}", "type": "function_call", **item, "arguments": given or "{}"}


def _usage(reply: Json) -> Json | None:
    used = chat.tokens(reply)
    if used is None:
        return None
    details = (reply.get("usage") or {}).get("completion_tokens_details") or {}
    thought = chat.count(details.get("reasoning_tokens")) if isinstance(details, dict) else 0
    return {
        "input_tokens": used.input,
        "input_tokens_details": {"cached_tokens": used.cache_read, "cache_write_tokens": used.cache_write},
        "output_tokens": used.output,
        "output_tokens_details": {"reasoning_tokens": thought or 0},
        "total_tokens": used.total,
    }
