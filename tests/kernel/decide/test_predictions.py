"""Predictions are read from a stranger's message, and checked by trials."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.kernel.decide.predictions import MOST, MOST_CHARS, WHY_CHARS, Calibration, calibration, checked, predictions

TASKS = {f"t{n}" for n in range(40)}


def block(*lines: str) -> str:
    return "\n".join(["Subject", "", "Why.", "", "  ```predictions", *lines, "  ```", "after: - t9: no"])


def test_a_block_is_read_line_by_line() -> None:
    made, faults = predictions(
        block("+ t1: because", "- t2", "  + t1: a later one counts", "+ elsewhere: x", "what"), TASKS
    )
    assert [str(one) for one in made] == ["+ t1: a later one counts", "- t2: no reason given"]
    assert faults == ["`+ elsewhere: x` names no search task that you see", "`what` is not of the form `+ TASK: why`"]


def test_a_message_without_a_block_predicts_nothing() -> None:
    assert predictions("+ t1: not in a block", TASKS) == ([], [])


def test_predictions_are_bounded() -> None:
    made, _ = predictions(block(*(f"+ t{n}: {'w ' * 500}" for n in range(40))), TASKS)
    assert len(made) == MOST
    assert all(len(one.why) <= WHY_CHARS for one in made)


@given(st.text(), st.text())
def test_any_text_is_read(before: str, inside: str) -> None:
    made, faults = predictions(f"{before}\n```predictions\n{inside}", TASKS)
    assert len(made) <= MOST
    assert all(fault.isprintable() for fault in faults)
    assert {one.task for one in made} <= TASKS


def test_a_prediction_comes_true_if_the_mean_moves_its_way() -> None:
    made, _ = predictions(block("+ t1: x", "+ t2: x", "- t3: x", "+ t4: x", "- t5: x"), TASKS)
    before = {"t1": (2, 0.0), "t2": (1, 1.0), "t3": (2, 2.0), "t5": (1, 0.5), "t6": (2, 1.0), "t7": (1, 1.0)}
    after = {"t1": (1, 0.5), "t2": (4, 4.0), "t3": (2, 1.0), "t4": (1, 1.0), "t6": (1, 1.0), "t7": (1, 0.0)}
    outcomes = checked(made, before, after)
    assert [one.came_true for one in outcomes] == [True, False, True, None, None]
    assert str(outcomes[0]) == "+ t1: x (came true)"
    # t6 gained and could; t7 was solved every time, so that it could not gain
    assert calibration(outcomes, before, after) == Calibration(predicted=3, came_true=2, others=1, others_gained=1)


def test_no_more_of_a_message_is_read_than_a_bounded_part() -> None:
    """A box may send megabytes, as often as it likes."""
    block = "```predictions\n" + "x\n" * MOST_CHARS + "+ task: why\n```\n"
    made, faults = predictions(block, {"task"})
    assert made == []
    assert len(faults) == MOST
    assert predictions("x" * MOST_CHARS + "\n```predictions\n+ task: why\n```\n", {"task"}) == ([], [])
