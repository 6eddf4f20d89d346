"""Self-improvement: the ladder of ways to edit."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.scaffold.conftest import Lab

SETTINGS = "agent/scaffold/settings.py"


def change(constant: str, value: object) -> str:
    """What the constrained model answers."""
    return json.dumps({"change": {"constant": constant, "value": value}})


def alternatives(request: dict[str, Any]) -> dict[str, list[object]]:
    """The constants that a request offers, each with its values."""
    schema = request["response_format"]["json_schema"]["schema"]
    offered = [item["properties"] for item in schema["properties"]["change"]["anyOf"]]
    return {item["constant"]["const"]: sorted(item["value"]["enum"]) for item in offered}


def attempt(number: int, line: str, fate: str = "rejected") -> dict[str, object]:
    """One past attempt as the kernel records it."""
    diff = f"--- a/{SETTINGS}\n+++ b/{SETTINGS}\n@@ -7 +7 @@\n-SAMPLES = 1  # integer\n+{line}  # integer\n"
    return {
        "id": number,
        "parent": 0,
        "subject": f"Try {line}",
        "fate": fate,
        "reason": "no better",
        "score": 0.15,
        "diff": diff,
    }


def test_a_small_model_changes_one_constant_and_nothing_else(workshop: Lab) -> None:
    before = workshop.tree_of_workspace()
    outcome = workshop.run(change("SAMPLES", 4))
    after = workshop.tree_of_workspace()
    note = after.pop("PATCH.md")
    assert outcome.exit_code == 0
    assert note.splitlines()[:2] == ["Raise SAMPLES from 1 to 4", ""]
    assert [name for name in after if after[name] != before.get(name)] == [SETTINGS]
    changed = set(after[SETTINGS].splitlines()) - set(before[SETTINGS].splitlines())
    assert [line.partition("  # integer 1..8")[0] for line in changed] == ["SAMPLES = 4"]


def test_no_constant_is_changed_where_a_patch_is_to_be_brought_over(workshop: Lab) -> None:
    """What a small model could do instead is not that patch."""
    workshop.brief(bring_over={"candidate": 3})
    before = workshop.tree_of_workspace()
    workshop.run(change("SAMPLES", 4))
    assert workshop.tree_of_workspace() == before


def test_a_text_constant_is_written_as_python(workshop: Lab) -> None:
    workshop.run(change("EXTRACT", "compile"))
    assert '\nEXTRACT = "compile"  # one of: ' in workshop.text(SETTINGS)
    assert workshop.text("PATCH.md").startswith("Set EXTRACT from fence to compile\n")


def test_a_changed_tree_runs_and_can_be_changed_again(workshop: Lab) -> None:
    workshop.run(change("SAMPLES", 4))
    (workshop.workspace / "PATCH.md").unlink()
    workshop.run(change("SAMPLES", 2))
    assert workshop.text("PATCH.md").startswith("Lower SAMPLES from 4 to 2\n")


def test_only_the_ranges_without_the_current_value_are_offered(workshop: Lab) -> None:
    offered = alternatives(workshop.run(change("SAMPLES", 4)).requests[0])
    assert offered["SAMPLES"] == [2, 3, 4, 5, 6, 7, 8]
    assert offered["EXTRACT"] == ["compile", "raw"]
    assert offered["SHOT"] == [1]
    assert offered["TEMPERATURE"] == [*range(0, 80, 10), *range(90, 160, 10)]
    assert "MODE" not in offered


def test_what_was_tried_is_not_offered_again_and_its_fate_is_shown(workshop: Lab) -> None:
    tried = ["SAMPLES = 4", 'EXTRACT = "raw"', "SHOT = 1"]
    workshop.brief(attempts=[attempt(number, line) for number, line in enumerate(tried)])
    outcome = workshop.run(change("SAMPLES", 2))
    offered = alternatives(outcome.requests[0])
    assert offered["SAMPLES"] == [2, 3, 5, 6, 7, 8]
    assert offered["EXTRACT"] == ["compile"]
    assert "SHOT" not in offered
    assert "Try SAMPLES = 4: rejected, score 15%" in outcome.prompts[0]


def test_a_patch_is_not_undone_by_a_later_one(workshop: Lab) -> None:
    workshop.set(SAMPLES=4)
    shutil.copy(workshop.tree / SETTINGS, workshop.workspace / SETTINGS)
    workshop.brief(attempts=[attempt(1, "SAMPLES = 4", "accepted")])
    offered = alternatives(workshop.run(change("SAMPLES", 5)).requests[0])
    assert offered["SAMPLES"] == [2, 3, 5, 6, 7, 8]


def test_the_model_is_told_the_score_and_shown_a_failed_run(workshop: Lab) -> None:
    prompt = workshop.run(change("SAMPLES", 2)).prompts[0]
    assert "20%" in prompt
    assert "FAILED-LIKE-THIS" in prompt


def test_it_works_without_scores_and_failures(workshop: Lab) -> None:
    workshop.brief(scores={"champion": None, "parent": None}, failures=[])
    assert workshop.run(change("SAMPLES", 2)).exit_code == 0
    assert workshop.text("PATCH.md").startswith("Raise SAMPLES")


def test_the_order_of_the_alternatives_depends_on_the_seed_alone(workshop: Lab) -> None:
    orders = []
    for seed in ("1", "2", "3", "1"):
        workshop.env["RATCHET_SEED"] = seed
        orders.append(list(alternatives(workshop.run("{}").requests[0])))
    assert orders[0] == orders[3]
    assert len({tuple(order) for order in orders}) > 1


@pytest.mark.parametrize(
    "reply",
    [
        "no JSON",
        "{}",
        "[]",
        change("SAMPLES", 99),
        change("SAMPLES", 1),
        change("OTHER", 1),
        change("SAMPLES", None),
    ],
)
def test_a_reply_outside_the_schema_changes_nothing(workshop: Lab, reply: str) -> None:
    before = workshop.tree_of_workspace()
    outcome = workshop.run(reply)
    assert outcome.exit_code == 0
    assert "No change" in outcome.output
    assert workshop.tree_of_workspace() == before


def test_a_search_replace_block_is_applied_exactly(workshop: Lab) -> None:
    workshop.window = 16_384
    workshop.set(MODE="single")
    line = next(line for line in workshop.text(SETTINGS).splitlines() if line.startswith("SAMPLES"))
    reply = f"""Ask more often

A second answer is cheap.

{SETTINGS}
<<<<<<< SEARCH
{line}
=======
{line.replace("SAMPLES = 1", "SAMPLES = 2")}
>>>>>>> REPLACE
"""
    outcome = workshop.run(reply)
    assert "\nSAMPLES = 2  # integer 1..8" in workshop.text(SETTINGS)
    assert workshop.text("PATCH.md") == "Ask more often\n\nA second answer is cheap.\n"
    assert len(outcome.requests) == 1


def test_the_model_that_edits_text_sees_the_sources_and_the_transcripts(workshop: Lab) -> None:
    workshop.window = 65_536
    workshop.set(MODE="single")
    workshop.brief(attempts=[attempt(1, "SAMPLES = 4")])
    prompt = workshop.run("nothing", change("SAMPLES", 2)).prompts[0]
    for part in (
        "def improve(",
        "prompts/solve.md",
        "FAILED-LIKE-THIS",
        "Try SAMPLES = 4",
        "# Improve yourself",
    ):
        assert part in prompt


def test_a_search_that_differs_in_whitespace_is_applied_with_the_indentation_of_the_file(
    workshop: Lab,
) -> None:
    workshop.window = 16_384
    workshop.set(MODE="single")
    workshop.put("workspace", {"agent/scaffold/extra.py": "def f(x):\n    if x:\n        return 1\n    return 2\n"})
    reply = """Change f
agent/scaffold/extra.py
<<<<<<< SEARCH
if x:
  return 1
=======
if x is not None:
    return 3
>>>>>>> REPLACE
"""
    workshop.run(reply)
    expected = "def f(x):\n    if x is not None:\n        return 3\n    return 2\n"
    assert workshop.text("agent/scaffold/extra.py") == expected


def test_a_whole_file_replaces_the_old_one(workshop: Lab) -> None:
    workshop.window = 16_384
    workshop.set(MODE="single")
    workshop.run("Be brief\n\nprompts/stub.md\n```\nThe file $path:\n$code\n```\n")
    assert workshop.text("prompts/stub.md") == "The file $path:\n$code\n"
    assert workshop.text("PATCH.md").startswith("Be brief\n")


@pytest.mark.parametrize(
    "reply",
    [
        "I would change nothing.",
        f"Search what is not there\n{SETTINGS}\n<<<<<<< SEARCH\nNOT = 0\n=======\nNOT = 1\n>>>>>>> REPLACE\n",
        f"Break it\n{SETTINGS}\n```\nSAMPLES = (\n```\n",
        "Leave the workspace\n../outside.py\n```\nX = 1\n```\n",
    ],
)
def test_an_edit_that_cannot_be_used_falls_through_to_the_constrained_one(workshop: Lab, reply: str) -> None:
    workshop.window = 16_384
    workshop.set(MODE="single")
    before = workshop.tree_of_workspace()[SETTINGS]
    outcome = workshop.run(reply, change("RETRIES", 2))
    assert len(outcome.requests) == 2
    assert workshop.text("PATCH.md").startswith("Raise RETRIES from 0 to 2\n")
    assert workshop.text(SETTINGS).replace("RETRIES = 2", "RETRIES = 0") == before.replace('"single"', '"single"')
    assert not (workshop.root / "outside.py").exists()


def test_a_capable_model_improves_by_the_agent_loop(workshop: Lab) -> None:
    workshop.window = 128_000
    use = workshop.uses
    outcome = workshop.run(
        use("read_file", path="/task/context/brief.json".replace("/task", str(workshop.root / "task"))),
        use("edit", path="prompts/stub.md", search="starts like this", replace="begins so"),
        use("write_file", path="PATCH.md", content="Say it shorter\n\nFewer tokens.\n"),
        use("finish", summary="done"),
    )
    assert outcome.exit_code == 0
    assert "begins so" in workshop.text("prompts/stub.md")
    assert workshop.text("PATCH.md") == "Say it shorter\n\nFewer tokens.\n"
    assert '"campaign": "test"' in outcome.prompts[1]


def test_the_summary_becomes_the_note_when_the_agent_wrote_none(workshop: Lab) -> None:
    workshop.window = None
    use = workshop.uses
    workshop.run(
        use("shell", command="echo >> prompts/stub.md"),
        use("finish", summary=f"Add a line {'very ' * 30}\n\nBecause."),
    )
    subject, _, body = workshop.text("PATCH.md").partition("\n\n")
    assert len(subject) == 72
    assert body == "Because.\n"


def test_an_agent_that_deletes_the_program_is_undone(workshop: Lab) -> None:
    workshop.window = 128_000
    before = workshop.tree_of_workspace()
    use = workshop.uses
    outcome = workshop.run(
        use("shell", command="rm -r agent prompts; echo bad > agent.py"),
        use("finish", summary="Clean up"),
        "nothing to say",
        change("SAMPLES", 3),
    )
    assert "__main__.py is gone" in outcome.output
    after = workshop.tree_of_workspace()
    assert set(after) == {*before, "PATCH.md"}
    assert "SAMPLES = 3" in after[SETTINGS]


def test_an_error_of_the_gateway_leaves_no_note(workshop: Lab) -> None:
    outcome = workshop.run(503)
    assert outcome.exit_code == 1
    assert "the gateway answered 503" in outcome.output
    assert not (workshop.workspace / "PATCH.md").exists()


def test_lessons_alone_are_no_patch_and_stay(workshop: Lab) -> None:
    workshop.window = 128_000
    workshop.put("workspace", {"LESSONS.md": "old\n"})
    use = workshop.uses
    outcome = workshop.run(
        use("shell", command="echo new >> LESSONS.md"),
        use("finish", summary="Learn"),
        "nothing to say",
        change("SAMPLES", 3),
    )
    assert "nothing is changed" in outcome.output
    assert workshop.text("PATCH.md").startswith("Raise SAMPLES")
