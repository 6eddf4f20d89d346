"""The agent loop: what a capable model gets."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.scaffold.conftest import Lab


@pytest.fixture
def agent(lab: Lab) -> Lab:
    """A suite task for a model with a large window."""
    lab.window = 128_000
    return lab


def test_a_task_is_solved_with_tools(agent: Lab) -> None:
    use = agent.uses
    outcome = agent.run(
        use("read_file", path="solution.py", first_line=1),
        use("edit", path="solution.py", search="raise NotImplementedError", replace="return 2 * n"),
        use("shell", command="python3 -c 'from solution import double; print(double(21))'"),
        use("finish", summary="double is written"),
    )
    assert outcome.exit_code == 0
    assert agent.text("solution.py") == "def double(n):\n    return 2 * n\n"
    assert outcome.prompts[1] == "    1  def double(n):\n    2      raise NotImplementedError"
    assert outcome.prompts[3] == "42\n\n[exit code 0]"
    assert "double is written" in outcome.output


def test_a_model_of_unknown_window_gets_the_loop(lab: Lab) -> None:
    lab.window = None
    outcome = lab.run(lab.uses("finish", summary="done"))
    names = [tool["function"]["name"] for tool in outcome.requests[0]["tools"]]
    assert names == ["shell", "read_file", "search", "edit", "write_file", "plan", "finish"]
    assert "solution.py" in outcome.prompts[0]
    assert "Write `double(n)`" in outcome.prompts[0]


def test_the_path_can_be_forced(agent: Lab) -> None:
    agent.set(MODE="single")
    agent.run("```\ndef double(n):\n    return 1\n```")
    assert "return 1" in agent.text("solution.py")


@pytest.mark.parametrize(
    ("name", "arguments", "error"),
    [
        ("fly", {}, "there is no tool fly"),
        ("shell", {}, "shell needs the parameter 'command'"),
        ("read_file", {"path": "missing.py"}, "No such file"),
        ("read_file", {"path": "solution.py", "first_line": "two"}, "first_line must be a whole number, not 'two'"),
        ("read_file", {"path": "solution.py", "first_line": 9}, "solution.py has 2 lines, so first_line cannot be 9"),
        ("search", {"pattern": "("}, "the pattern is not a regular expression"),
        ("search", {"pattern": "a", "path": "nowhere"}, "there is no nowhere"),
        ("finish", {}, "finish needs the parameter 'summary'"),
        ("edit", {"path": "solution.py", "search": "absent", "replace": ""}, "occurs 0 times"),
        ("edit", {"path": "solution.py", "search": "n", "replace": ""}, "add lines around it"),
    ],
)
def test_a_tool_used_wrongly_says_so_and_the_work_continues(
    agent: Lab, name: str, arguments: dict[str, object], error: str
) -> None:
    outcome = agent.run(agent.uses(name, **arguments), agent.uses("finish", summary="done"))
    assert outcome.exit_code == 0
    assert outcome.prompts[1].startswith("error: ")
    assert error in outcome.prompts[1]


@pytest.mark.parametrize("raw", ["{not json", "[1]", '"text"', "7"])
def test_arguments_that_are_not_an_object_are_refused(agent: Lab, raw: str) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "shell", "arguments": raw}}
    outcome = agent.run({"content": "", "tool_calls": [call]}, agent.uses("finish", summary="done"))
    assert "not a JSON object" in outcome.prompts[1]


def test_a_turn_goes_back_with_all_that_its_model_wants_to_see_again(agent: Lab) -> None:
    function = {"name": "shell", "arguments": '{"command": "true"}', "thought_signature": "s2"}
    turn = {
        "role": "assistant",
        "content": [
            {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
            {"type": "text", "text": "Look."},
        ],
        "tool_calls": [{"id": "c", "type": "function", "function": function, "extra_content": {"google": "s1"}}],
        "reasoning_content": "because",
        "reasoning": "therefore",
        "reasoning_details": [{"type": "reasoning.encrypted", "data": "opaque"}],
        "thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": "signed"}],
    }
    outcome = agent.run(turn, agent.uses("finish", summary="done"))
    assert outcome.requests[1]["messages"][2] == turn
    assert "Look." in outcome.output
    assert "hm" not in outcome.output


def test_several_tools_of_one_reply_are_all_answered(agent: Lab) -> None:
    calls = [
        {
            "id": f"c{n}",
            "type": "function",
            "function": {"name": "shell", "arguments": json.dumps({"command": f"echo {n}"})},
        }
        for n in range(2)
    ]
    outcome = agent.run({"content": "two", "tool_calls": calls}, agent.uses("finish", summary="done"))
    answers = [message for message in outcome.requests[1]["messages"] if message["role"] == "tool"]
    assert [answer["tool_call_id"] for answer in answers] == ["c0", "c1"]


def test_a_reply_without_a_tool_is_asked_to_continue(agent: Lab) -> None:
    outcome = agent.run("I think about it.", agent.uses("finish", summary="done"))
    assert "Continue with the tools" in outcome.prompts[1]


def test_the_steps_are_bounded(agent: Lab) -> None:
    outcome = agent.run(*["thinking"] * 60)
    assert len(outcome.requests) == 50
    assert "not finished within 50 steps" in outcome.output


def test_long_output_is_cut_in_the_middle(agent: Lab) -> None:
    command = "echo BEGIN; seq 1 200000; echo END"
    outcome = agent.run(agent.uses("shell", command=command), agent.uses("finish", summary="done"))
    assert len(outcome.prompts[1]) < 9000
    assert outcome.prompts[1].startswith("BEGIN")
    assert "END" in outcome.prompts[1]
    assert len(outcome.output) < 20_000


def test_a_long_conversation_is_compacted_to_notes_and_the_plan(agent: Lab) -> None:
    agent.window = 10_000
    show = agent.uses("shell", command="seq 1 1500")
    plan = agent.uses("plan", steps="THE-PLAN: first this")
    outcome = agent.run(plan, show, show, show, "THE-NOTES: seq counts", show, agent.uses("finish", summary="done"))
    asked = outcome.requests[4]["messages"]
    assert len(asked) == 1
    assert "seq 1 1500" in asked[0]["content"]
    assert "tools" not in outcome.requests[4]
    after = outcome.requests[5]["messages"]
    for part in ("THE-NOTES: seq counts", "THE-PLAN: first this", "Write `double(n)`"):
        assert part in after[1]["content"]
    assert [message["role"] for message in after[:3]] == ["system", "user", "assistant"]
    assert after[-1]["content"].startswith("1\n2\n")
    answered = {message["tool_call_id"] for message in after if message["role"] == "tool"}
    assert answered == {call["id"] for message in after for call in message.get("tool_calls", [])}
    assert all(sum(len(str(m)) for m in r["messages"]) < 10_000 * 3 for r in outcome.requests)


def test_later_notes_build_on_earlier_ones(agent: Lab) -> None:
    agent.window = 10_000
    show = agent.uses("shell", command="seq 1 1500")
    outcome = agent.run(
        show, show, show, "FIRST-NOTES", show, show, "SECOND-NOTES", agent.uses("finish", summary="done")
    )
    asked = [r["messages"][0]["content"] for r in outcome.requests if len(r["messages"]) == 1]
    assert len(asked) == 2
    assert "FIRST-NOTES" in asked[1]
    assert "SECOND-NOTES" in outcome.requests[-1]["messages"][1]["content"]


def test_old_results_are_elided_where_no_notes_can_be_had(agent: Lab) -> None:
    agent.window = 10_000
    show = agent.uses("shell", command="seq 1 1500")
    outcome = agent.run(show, show, show, 400, show, 400, agent.uses("finish", summary="done"))
    assert "Not compacted" in outcome.output
    results = [m["content"] for m in outcome.requests[-1]["messages"] if m["role"] == "tool"]
    assert results[0] == "[elided]"
    assert results[-1].startswith("1\n2\n")


def test_a_search_names_file_and_line_and_leaves_caches_out(agent: Lab) -> None:
    agent.put(
        "workspace", {"deep/a.txt": "x\n  Needle 1\n", ".git/b.txt": "Needle 2\n", "__pycache__/c.py": "Needle 3\n"}
    )
    outcome = agent.run(agent.uses("search", pattern="Need.e"), agent.uses("finish", summary="done"))
    assert outcome.prompts[1] == "deep/a.txt:2: Needle 1"


def test_an_edit_that_is_not_found_shows_the_nearest_place(agent: Lab) -> None:
    agent.put("workspace", {"a.py": "import os\n\n\ndef total(values):\n    return sum(values)\n"})
    use = agent.uses
    outcome = agent.run(
        use("edit", path="a.py", search="def total(value):\n    return sum(value)", replace="x"),
        use("edit", path="a.py", search="while True:\n    wait(1)", replace="x"),
        use("edit", path="a.py", search="values", replace="x"),
        use("finish", summary="done"),
    )
    assert "    4  def total(values):\n    5      return sum(values)" in outcome.prompts[1]
    assert "nearest" not in outcome.prompts[2]
    assert "occurs 2 times, in lines 4, 5; add lines around it" in outcome.prompts[3]


def test_what_a_killed_command_printed_is_shown(agent: Lab) -> None:
    command = "echo BEFORE; sleep 300"
    outcome = agent.run(agent.uses("shell", command=command, seconds=1), agent.uses("finish", summary="done"))
    assert outcome.prompts[1] == "BEFORE\n\n[killed after 1 seconds; what it had printed is above]"


def test_a_reply_that_was_cut_off_is_told_so(agent: Lab) -> None:
    outcome = agent.run({"content": "", "finish_reason": "length"}, agent.uses("finish", summary="done"))
    assert "cut off at its greatest length" in outcome.prompts[1]


@pytest.mark.parametrize(("window", "most"), [(8192, 2048), (None, 8192), (65_536, 16_384), (1_000_000, 16_384)])
def test_a_reply_has_room_to_think(lab: Lab, window: int | None, most: int) -> None:
    lab.window = window
    assert lab.run(lab.uses("finish", summary="done")).requests[0]["max_tokens"] == most


@pytest.mark.parametrize("call", [{}, {"id": "c", "type": "function"}, {"id": "c", "function": {"name": None}}])
def test_a_call_that_names_no_tool_is_asked_again(agent: Lab, call: dict[str, object]) -> None:
    outcome = agent.run({"content": "", "tool_calls": [call]}, agent.uses("finish", summary="done"))
    assert outcome.exit_code == 0
    assert "Continue with the tools" in outcome.prompts[1]


def test_a_command_that_hangs_is_killed_with_its_children_before_the_deadline(agent: Lab) -> None:
    agent.env["RATCHET_SECONDS"] = "10"
    command = "(sleep 300; touch late) & sleep 300"
    outcome = agent.run(agent.uses("shell", command=command), agent.uses("finish", summary="done"))
    assert "killed after" in outcome.output
    assert not (agent.workspace / "late").exists()


def test_a_process_left_in_the_background_does_not_hold_the_loop(agent: Lab) -> None:
    outcome = agent.run(
        agent.uses("shell", command="setsid sleep 20 & echo started"), agent.uses("finish", summary="done")
    )
    assert outcome.prompts[1].startswith("started")
    assert outcome.exit_code == 0


def test_the_deadline_ends_the_loop_and_the_workspace_stays(agent: Lab) -> None:
    agent.env["RATCHET_SECONDS"] = "11"
    outcome = agent.run(agent.uses("write_file", path="new/notes.txt", content="kept"), None)
    assert outcome.exit_code == 0
    assert agent.text("new/notes.txt") == "kept"
    assert "Finished\n\nthe gateway gave no answer: TimeoutError" in outcome.output


def test_an_error_of_the_gateway_ends_the_run(agent: Lab) -> None:
    outcome = agent.run(400)
    assert outcome.exit_code == 1
    assert "the gateway answered 400" in outcome.output
