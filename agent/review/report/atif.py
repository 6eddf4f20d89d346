"""A trial as a trajectory in ATIF, the Agent Trajectory Interchange Format of Harbor (RFC 0001, version 1.7).

https://github.com/laude-institute/harbor: `harbor.models.trajectories` is the reference. A message is a step where it
was first sent; a tool's result belongs to the step that called the tool.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from agent.base.types import Call
from agent.models.dialects import turns
from agent.models.dialects.transcript import MESSAGE_CHARS, Step, middle_out, refused, steps
from agent.models.dialects.turns import Role, ToolCall, Turn
from agent.models.ports import Json
from agent.review.report.traces import Trace

SCHEMA = "ATIF-v1.7"
NAME = "ratchet scaffold"


def trajectory(trace: Trace) -> Json:
    """One trace as an ATIF document."""
    calls = [call for _, call in trace.calls]
    made = _Steps()
    for (at, _), step in zip(trace.calls, steps(calls), strict=True):
        made.take(step, at)
    if trace.trial is not None and not made.steps:
        made.add("agent", middle_out(trace.trial.transcript, 8 * MESSAGE_CHARS), trace.end, llm_call_count=0)
    agent: Json = {"name": NAME, "version": trace.trial.tree if trace.trial is not None else "unknown"}
    if calls:
        agent |= {"model_name": calls[0].model, "tool_definitions": _tools(calls)}
    return {
        "schema_version": SCHEMA,
        "session_id": trace.id,
        "trajectory_id": trace.id,
        "agent": agent,
        "steps": made.steps,
        "final_metrics": _totals(calls, len(made.steps)),
        "extra": {"campaign": trace.campaign, "candidate": trace.candidate, **_outcome(trace)},
    }


def _outcome(trace: Trace) -> Json:
    trial, shared = trace.trial, {"refused": [*map(refused, trace.refusals)]}
    if trial is None:
        return {"purpose": "proposal", **shared}
    return {
        **shared,
        "purpose": trial.purpose,
        "task": trial.task,
        "seed": trial.seed,
        "score": trial.score,
        "reason": trial.reason,
        "seconds": trial.seconds,
        "printed": middle_out(trial.transcript, 8 * MESSAGE_CHARS),
    }


def _tools(calls: list[Call]) -> list[Json]:
    """Every tool that a call offered, by its name."""
    return [*{tool["function"]["name"]: tool for call in calls for tool in turns.tools_offered(call)}.values()]


def _totals(calls: list[Call], count: int) -> Json:
    return {
        "total_prompt_tokens": sum(call.tokens_in for call in calls),
        "total_completion_tokens": sum(call.tokens_out for call in calls),
        "total_cost_usd": sum(call.dollars or 0.0 for call in calls if call.fresh),
        "total_steps": count,
    }


class _Steps:
    """The steps of a trajectory as they are made."""

    def __init__(self) -> None:
        self.steps: list[Json] = []
        self._by_tool: dict[str, Json] = {}

    def add(self, source: str, message: str, at: float, **more: Any) -> Json:
        step = {
            "step_id": len(self.steps) + 1,
            "timestamp": datetime.fromtimestamp(at, UTC).isoformat(),
            "source": source,
            "message": message,
            **{name: value for name, value in more.items() if value not in (None, "", [])},
        }
        self.steps.append(step)
        return step

    def take(self, step: Step, at: float) -> None:
        """One call: what was new in it, and its answers, which end at `at`."""
        for turn in step.new:
            self._told(turn, at - step.call.seconds)
        for number, turn in enumerate(step.answers):
            self._answer(turn, step.call, at, first=number == 0)
        if step.refusal:
            self.add("system", f"The model call was refused: {step.refusal}", at)

    def _told(self, turn: Turn, at: float) -> None:
        if turn.role is Role.TOOL:
            self._result(turn, at)
        elif turn.role is Role.ASSISTANT:  # the agent put words into the model's mouth
            self._agent(turn, at, llm_call_count=0)
        else:
            self.add("system" if turn.role is Role.SYSTEM else "user", turn.text, at)

    def _answer(self, turn: Turn, call: Call, at: float, *, first: bool) -> None:
        metrics: Json = {"prompt_tokens": call.tokens_in, "completion_tokens": call.tokens_out}
        metrics |= {"cost_usd": call.dollars} if call.dollars is not None else {}
        metrics["extra"] = {"shared_answer": not call.fresh, "seconds": call.seconds, "retries": call.retries}
        self._agent(
            turn,
            at,
            model_name=call.model,
            reasoning_content=turn.thinking,
            metrics=metrics if first else None,
            llm_call_count=1,
        )

    def _agent(self, turn: Turn, at: float, **more: Any) -> None:
        ids = [tool.id or f"{len(self.steps) + 1}.{number}" for number, tool in enumerate(turn.tools, 1)]
        calls = [_tool_call(tool, name) for tool, name in zip(turn.tools, ids, strict=True)]
        step = self.add("agent", turn.text, at, tool_calls=calls, **more)
        self._by_tool |= dict.fromkeys(ids, step)

    def _result(self, turn: Turn, at: float) -> None:
        """A tool's result, at the step that called it; at the last step of the agent where none did."""
        caller = self._by_tool.get(turn.answers)
        agents = (step for step in reversed(self.steps) if step["source"] == "agent")
        step = caller or next(agents, None) or self.add("user", "", at)
        result: Json = {"source_call_id": turn.answers} if caller is not None else {}
        step.setdefault("observation", {"results": []})["results"].append({**result, "content": turn.text})


def _tool_call(tool: ToolCall, name: str) -> Json:
    try:
        given = json.loads(tool.arguments)
    except ValueError:
        given = tool.arguments
    arguments = given if isinstance(given, dict) else {"input": given}
    return {"tool_call_id": name, "function_name": tool.name, "arguments": arguments}
