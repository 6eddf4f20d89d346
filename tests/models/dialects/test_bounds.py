"""Schemas, tools and grammars are bounded before any provider sees them."""

from __future__ import annotations

from typing import Any

import pytest

from agent.config.models import ModelConfig
from agent.models.dialects import bounds, translate
from agent.models.ports import BadCall, Dialect, Json

EMBEDDED = ModelConfig(provider="embedded")
USER = [{"role": "user", "content": "x"}]


def schema(**more: Any) -> Json:
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": more}}}


def deep(levels: int) -> Json:
    made: Json = {"type": "string"}
    for _ in range(levels):
        made = {"type": "object", "properties": {"p": made}}
    return made


def nested_arrays(levels: int) -> Any:
    return [] if not levels else [nested_arrays(levels - 1)]


def properties(count: int) -> Json:
    return {f"p{i}": {"type": "string"} for i in range(count)}


def tools(count: int, each: int) -> Json:
    function = {"name": "t", "parameters": {"type": "object", "properties": properties(each)}}
    return {"tools": [{"type": "function", "function": function}] * count}


@pytest.mark.parametrize(
    ("more", "named"),
    [
        (schema(type="object", properties=properties(5000)), "`response_format`: 5000 properties"),
        (schema(enum=[f"v{i}" for i in range(5000)]), "5000 values of enums"),
        (schema(anyOf=[{"enum": ["a"] * 90}] * 20), "values of enums"),
        (schema(**deep(50)), "nested more than"),
        (schema(type="string", maxLength=1 << 30), "`response_format.maxLength`"),
        (schema(type="string", pattern="(a|b)" * 200_000), "bytes of schemas"),
        (schema(allOf=nested_arrays(60)), "nested more than"),
        ({"grammar": "root ::= " + "x" * (1 << 20)}, "`grammar`"),
        ({"grammar": "root ::= " + '"a"? ' * 3000}, "`grammar`: 3000 repetitions in patterns"),
        ({"guided_regex": "(a|b)?" * 3000}, "`guided_regex`: 3000 repetitions"),
        ({"structured_outputs": {"regex": "a*" * 3000}}, "repetitions in patterns"),
        (schema(type="string", pattern="(a|b)?" * 3000), "`response_format`: 3000 repetitions"),
        (schema(type="object", patternProperties={"a?" * 3000: {}}), "repetitions in patterns"),
        (tools(300, 1), "`tools`: 300 tools"),
        (tools(50, 100), "properties"),
    ],
)
@pytest.mark.parametrize("given", [bounds.HOSTED, bounds.EMBEDDED])
def test_a_schema_bomb_is_refused_by_name(more: Json, named: str, given: bounds.Bounds) -> None:
    with pytest.raises(BadCall, match=named):
        bounds.check({"model": "m", "messages": USER, **more}, given)


def test_the_embedded_model_takes_less() -> None:
    body = {"model": "m", "messages": USER, **tools(10, 30)}
    bounds.check(body, bounds.HOSTED)
    with pytest.raises(BadCall, match="properties are more than the 256"):
        translate.request(Dialect.CHAT, Dialect.CHAT, body, EMBEDDED, 5)


def test_what_agents_use_is_carried() -> None:
    bounds.check(tools(20, 8), bounds.EMBEDDED)
    bounds.check(tools(100, 10), bounds.HOSTED)
    bounds.check(schema(**deep(8)), bounds.EMBEDDED)
