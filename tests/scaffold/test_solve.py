"""The single-shot path: what a weak model gets."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.scaffold.conftest import Lab

GOOD = "```python\ndef double(n):\n    return 2 * n\n```"
WRONG = "```python\ndef double(n):\n    return n\n```"
HALF = "```python\ndef double(n):\n    return 0\n```"
BROKEN = "```python\ndef double(n):\n    return (\n```"


def test_the_code_of_one_answer_is_handed_in(lab: Lab) -> None:
    outcome = lab.run(GOOD)
    assert outcome.exit_code == 0
    assert lab.text("solution.py") == "def double(n):\n    return 2 * n\n"
    assert len(outcome.requests) == 1


def test_an_answer_in_parts_beside_its_reasoning_is_handed_in(lab: Lab) -> None:
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "```python\nno\n```"}]}
    lab.run({"content": [thinking, {"type": "text", "text": GOOD}]})
    assert lab.text("solution.py") == "def double(n):\n    return 2 * n\n"


def test_a_request_shows_the_task_and_the_starting_file_and_stops_after_the_code(lab: Lab) -> None:
    outcome = lab.run(GOOD)
    (request,) = outcome.requests
    assert ">>> double(2)\n4" in outcome.prompts[0]
    assert "raise NotImplementedError" in outcome.prompts[0]
    assert request["stop"] == ["\n```\n"]
    assert (request["max_tokens"], request["temperature"]) == (160, 0.8)
    assert "seed" not in request


def test_an_answer_whose_fence_the_stop_sequence_cut_off_is_handed_in(lab: Lab) -> None:
    lab.run(GOOD.removesuffix("\n```"))
    assert lab.text("solution.py").strip() == "def double(n):\n    return 2 * n"


def test_samples_are_identical_requests_until_one_passes_the_visible_examples(lab: Lab) -> None:
    lab.set(SAMPLES=4)
    outcome = lab.run(WRONG, GOOD, WRONG)
    assert lab.text("solution.py") == "def double(n):\n    return 2 * n\n"
    assert outcome.requests[0] == outcome.requests[1]
    assert outcome.unused == 1


def test_of_wrong_answers_the_one_that_passes_most_examples_is_handed_in(lab: Lab) -> None:
    lab.set(SAMPLES=3)
    task = "`double(n)`\n\n>>> double(0)\n0\n>>> double(1)\n2\n>>> double(2)\n4\n"
    lab.put("task", {"instruction.md": task})
    worst = "```\ndef double(n):\n    return 7\n```"
    lab.run(worst, HALF, BROKEN)
    assert "return 0" in lab.text("solution.py")


def test_an_answer_that_is_not_python_leaves_the_starting_file(lab: Lab) -> None:
    outcome = lab.run(BROKEN)
    assert outcome.exit_code == 0
    assert "NotImplementedError" in lab.text("solution.py")
    assert "SyntaxError" in outcome.output


def test_a_retry_shows_the_example_that_failed(lab: Lab) -> None:
    lab.set(RETRIES=2)
    outcome = lab.run(WRONG, GOOD)
    assert outcome.requests[1]["messages"][:-2] == outcome.requests[0]["messages"]
    assert outcome.requests[1]["messages"][-2] == {"role": "assistant", "content": WRONG}
    assert "Expected:\n4\nGot:\n2" in outcome.prompts[1]
    assert lab.text("solution.py") == "def double(n):\n    return 2 * n\n"


def test_retries_come_after_all_samples_and_are_bounded(lab: Lab) -> None:
    lab.set(SAMPLES=2, RETRIES=2)
    outcome = lab.run(WRONG, WRONG, WRONG, WRONG, GOOD)
    assert [len(request["messages"]) for request in outcome.requests] == [1, 1, 3, 3]


def test_a_worked_example_is_put_before_the_task(lab: Lab) -> None:
    lab.set(SHOT=1)
    outcome = lab.run(GOOD)
    roles = [message["role"] for message in outcome.requests[0]["messages"]]
    assert roles == ["user", "assistant", "user"]
    assert all("---" not in message["content"] for message in outcome.requests[0]["messages"])


def test_the_starting_file_can_be_left_out(lab: Lab) -> None:
    lab.set(INCLUDE_STUB=0)
    assert "NotImplementedError" not in lab.run(GOOD).prompts[0]


def test_raw_extraction_takes_the_reply_as_it_is(lab: Lab) -> None:
    lab.set(EXTRACT="raw")
    lab.run("def double(n):\n    return n + n")
    assert lab.text("solution.py") == "def double(n):\n    return n + n"


def test_compile_extraction_drops_the_lines_that_the_token_limit_cut(lab: Lab) -> None:
    lab.set(EXTRACT="compile")
    lab.run("```python\ndef double(n):\n    return n + n\n\nprint(double(")
    assert lab.text("solution.py").strip() == "def double(n):\n    return n + n"


def test_code_that_never_ends_fails_its_examples_and_the_next_sample_is_drawn(lab: Lab) -> None:
    lab.set(SAMPLES=2)
    outcome = lab.run("```python\nwhile True:\n    pass\n```", GOOD)
    assert "no result after" in outcome.output
    assert "2 * n" in lab.text("solution.py")


def test_code_that_kills_or_floods_its_process_fails_its_examples_only(lab: Lab) -> None:
    lab.set(SAMPLES=3)
    kill = "```python\nimport os\nos.kill(os.getpid(), 9)\n```"
    flood = "```python\nprint('x' * 1000000)\nraise SystemExit\n```"
    outcome = lab.run(kill, flood, GOOD)
    assert outcome.exit_code == 0
    assert "2 * n" in lab.text("solution.py")
    assert len(outcome.output) < 20_000


def test_examples_may_import_the_solution_by_name(lab: Lab) -> None:
    lab.put("task", {"instruction.md": ">>> from solution import double\n>>> double(2)\n4\n"})
    assert "2 of 2 visible examples pass" in lab.run(GOOD).output


def test_a_task_without_examples_takes_the_first_valid_answer(lab: Lab) -> None:
    lab.set(SAMPLES=2)
    lab.put("task", {"instruction.md": "Write `double(n)`."})
    lab.run(BROKEN, WRONG)
    assert "return n" in lab.text("solution.py")


def test_among_several_files_the_one_that_the_instruction_names_is_written(lab: Lab) -> None:
    lab.put("workspace", {"a_helper.py": "X = 1\n"})
    lab.run(GOOD)
    assert lab.text("a_helper.py") == "X = 1\n"
    assert "2 * n" in lab.text("solution.py")


def test_a_long_instruction_is_cut_to_the_window(lab: Lab) -> None:
    lab.put("task", {"instruction.md": INTRODUCTION + "word " * 10_000})
    outcome = lab.run(GOOD)
    assert INTRODUCTION in outcome.prompts[0]
    assert len(outcome.prompts[0]) < 2048 * 3


def test_an_error_of_the_gateway_is_printed_and_ends_the_run_with_what_there_is(lab: Lab) -> None:
    lab.set(SAMPLES=3)
    outcome = lab.run(WRONG, 429)
    assert outcome.exit_code == 1
    assert "the gateway answered 429" in outcome.output
    assert "return n" in lab.text("solution.py")


def test_an_unreachable_gateway_is_an_error(lab: Lab) -> None:
    lab.env["OPENAI_BASE_URL"] = "http://127.0.0.1:9/v1"
    outcome = lab.run()
    assert outcome.exit_code == 1
    assert "ModelError" in outcome.output


def test_no_call_begins_when_the_deadline_has_come(lab: Lab) -> None:
    lab.env["RATCHET_SECONDS"] = "1"
    outcome = lab.run(GOOD)
    assert outcome.requests == []
    assert "OutOfTime" in outcome.output


INTRODUCTION = "Write `double(n)` in `solution.py`. "


PRINTS = "```python\ndef double(n):\n    print(2 * n)\n```"


def test_a_value_that_is_printed_and_not_returned_is_wrong(lab: Lab) -> None:
    lab.set(SAMPLES=2)
    outcome = lab.run(PRINTS, GOOD)
    assert "0 of 2 visible examples pass" in outcome.output
    assert "None, for it is printed and not returned" in outcome.output
    assert "print" not in lab.text("solution.py")


def test_an_example_that_prints_itself_or_shows_text_may_print(lab: Lab) -> None:
    lab.put("task", {"instruction.md": "Write `hello()`.\n\n>>> print(hello.__name__)\nhello\n>>> hello()\nHi, you\n"})
    outcome = lab.run("```python\ndef hello():\n    print('Hi, you')\n```")
    assert "2 of 2 visible examples pass" in outcome.output


def test_an_answer_that_waits_is_not_out_of_time_since_only_processor_time_counts(lab: Lab) -> None:
    outcome = lab.run("```python\nimport time\ntime.sleep(6)\ndef double(n):\n    return 2 * n\n```")
    assert "2 of 2 visible examples pass" in outcome.output
