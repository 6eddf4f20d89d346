"""Traces for other people's viewers: valid by the formats' own referees, and silent where the gate must be."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from google.protobuf import json_format
from opentelemetry.proto.trace.v1.trace_pb2 import Span, TracesData

from agent.base.types import Call, Purpose
from agent.kernel.record.ledger import Ledger
from agent.review.report.viewers import SPANS, TRAJECTORIES, TraceFormat, export_traces
from tests.kernel.records import call, fill, trial

SCHEMA = json.loads((Path(__file__).parent / "data" / "atif.schema.json").read_text())
SAID = {"role": "assistant", "content": "let me look", "tool_calls": [
    {"id": "c1", "type": "function", "function": {"name": "run", "arguments": '{"x": "\\ud800"}'}},
    {"id": "c2", "type": "function", "function": {"name": "odd", "arguments": "not JSON"}},
]}  # fmt: skip


def a_call(name: str, messages: list[Any], said: Any, status: int = 200) -> Call:
    tools = [{"type": "function", "function": {"name": "run", "parameters": {"type": "object"}}}]
    body = {"choices": [{"message": said, "finish_reason": "stop"}]} if status == 200 else {"error": {"message": said}}
    request = json.dumps({"messages": messages, "tools": tools}).encode()
    return replace(call(request), trial=name, response=json.dumps(body).encode(), status=status, seconds=0.25)


def talk(name: str, secret: str) -> Iterator[Call]:
    messages: list[Any] = [{"role": "system", "content": "brief"}, {"role": "user", "content": secret}]
    yield a_call(name, messages, SAID)
    messages += [SAID, {"role": "tool", "tool_call_id": "c1", "content": "forty-two"}]
    messages += [{"role": "tool", "tool_call_id": "gone", "content": "from nowhere"}]
    yield a_call(name, messages, "no, too much", 400)
    yield a_call(name, [*messages, {"role": "user", "content": "shorter"}], {"role": "assistant", "content": "done"})


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    with Ledger(tmp_path_factory.mktemp("viewers") / "ledger.sqlite") as made:
        fill(made)
        for name, secret in (("s2-1", "count"), ("a0", "gate secret"), ("h", "holdout secret"), ("p1", "improve")):
            for one in talk(name, secret):
                made.record_call(replace(one, role="improver") if name == "p1" else one)
        made.record_call(a_call("void", [{"role": "user", "content": "void secret"}], SAID))
        made.add_trial(trial("h", purpose=Purpose.HOLDOUT), candidate=1, index=0)
        yield made


@pytest.fixture(scope="module")
def trajectories(ledger: Ledger, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    [(folder, count)] = export_traces(ledger, tmp_path_factory.mktemp("a"), TraceFormat.ATIF, campaign="night")
    found = {path.stem: json.loads(path.read_bytes()) for path in folder.iterdir()}
    assert folder.name == TRAJECTORIES
    assert len(found) == count
    return found


def test_every_trajectory_is_valid_atif(trajectories: dict[str, Any]) -> None:
    assert {"s2-1", "s0-0", "p1"} <= trajectories.keys()
    for document in trajectories.values():
        jsonschema.validate(document, SCHEMA)
        # What the reference checks beside its schema.
        assert [step["step_id"] for step in document["steps"]] == [*range(1, len(document["steps"]) + 1)]
        for step in document["steps"]:
            only_agents = {"model_name", "reasoning_content", "tool_calls", "metrics"} & step.keys()
            assert step["source"] == "agent" or not only_agents
            assert step.get("llm_call_count") != 0 or not {"metrics", "reasoning_content"} & step.keys()
            known = {tool["tool_call_id"] for tool in step.get("tool_calls", ())}
            results = step.get("observation", {"results": []})["results"]
            assert {result["source_call_id"] for result in results if "source_call_id" in result} <= known


def test_a_trajectory_says_each_message_once_and_ties_results_to_their_calls(trajectories: dict[str, Any]) -> None:
    document = trajectories["s2-1"]
    steps = document["steps"]
    assert [(step["source"], step["message"]) for step in steps] == [
        ("system", "brief"), ("user", "count"), ("agent", "let me look"),
        ("system", "The model call was refused: 400 no, too much"), ("user", "shorter"), ("agent", "done"),
    ]  # fmt: skip
    calls = [(tool["function_name"], tool["arguments"]) for tool in steps[2]["tool_calls"]]
    assert calls == [("run", {"x": "?"}), ("odd", {"input": "not JSON"})]
    assert steps[2]["observation"]["results"] == [
        {"source_call_id": "c1", "content": "forty-two"}, {"content": "from nowhere"},
    ]  # fmt: skip
    assert document["agent"]["tool_definitions"][0]["function"]["name"] == "run"
    assert (document["extra"]["score"], document["extra"]["candidate"]) == (pytest.approx(1 / 3), 2)
    assert document["final_metrics"]["total_prompt_tokens"] == 30
    assert trajectories["s0-0"]["steps"][0]["message"] == "s0-0 said", "a trial without calls shows what it printed"


def test_gate_and_holdout_trials_are_never_told(ledger: Ledger, trajectories: dict[str, Any], tmp_path: Path) -> None:
    assert not {"a0", "b0", "h", "void"} & trajectories.keys()
    export_traces(ledger, tmp_path, TraceFormat.OTLP, campaign="night")
    assert b"secret" not in (tmp_path / SPANS).read_bytes()
    assert b"count" in (tmp_path / SPANS).read_bytes()


def parsed(line: bytes) -> TracesData:
    """A line of OTLP/JSON, whose ids are hexadecimal digits where protobuf's JSON has base64."""
    document = json.loads(line)
    for span in document["resourceSpans"][0]["scopeSpans"][0]["spans"]:
        for name in ("traceId", "spanId", "parentSpanId"):
            if name in span:
                span[name] = base64.b64encode(bytes.fromhex(span[name])).decode()
    return json_format.ParseDict(document, TracesData())


def test_the_spans_parse_as_otlp_and_follow_the_genai_conventions(ledger: Ledger, tmp_path: Path) -> None:
    [(file, count)] = export_traces(ledger, tmp_path, TraceFormat.OTLP, campaign="night")
    lines = file.read_bytes().splitlines()
    assert len(lines) == count == ledger.count_trials() + 3  # with t1's calls, the proposal and the void trial
    traces = [parsed(line).resource_spans[0].scope_spans[0].spans for line in lines]
    ids = [span.span_id for spans in traces for span in spans]
    assert len({*ids}) == len(ids)
    [spans] = [spans for spans in traces if attributes(spans[0]).get("gen_ai.conversation.id") == "s2-1"]
    root, first, refused, last = spans
    assert all(span.trace_id == root.trace_id and span.parent_span_id == root.span_id for span in spans[1:])
    assert len(root.trace_id) == 16
    assert (root.name, root.kind, root.events[0].name) == (
        "invoke_agent t", Span.SPAN_KIND_INTERNAL, "gen_ai.evaluation.result",
    )  # fmt: skip
    assert attributes(root.events[0])["gen_ai.evaluation.score.value"] == pytest.approx(1 / 3)
    assert (first.name, first.kind) == ("chat p/m", Span.SPAN_KIND_CLIENT)
    assert first.end_time_unix_nano - first.start_time_unix_nano == pytest.approx(0.25e9, rel=0.01)
    said = attributes(first)
    assert (said["gen_ai.operation.name"], said["gen_ai.provider.name"], said["gen_ai.request.model"]) == (
        "chat",
        "p",
        "m",
    )
    assert said["gen_ai.usage.input_tokens"] == 10
    [answer] = json.loads(said["gen_ai.output.messages"])
    assert [part["type"] for part in answer["parts"]] == ["text", "tool_call", "tool_call"]
    assert attributes(refused)["error.type"] == "400"
    assert (refused.status.code, refused.status.message) == (2, "400 no, too much")
    assert attributes(last)["ratchet.messages.sent_before"] == 5


def attributes(of: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in of.attributes}
