"""The seed broken on purpose: a campaign in which it still works is refused before a proposal is paid for."""

from __future__ import annotations

import json

import pytest

from agent.base.errors import UserError
from agent.base.executable import Executable
from agent.kernel.loop.sabotage import is_code
from sandbox.fake import FakeRun, ran
from tests.kernel.lab import SETTINGS, Lab, MakeLab

ON = {"sabotage": True}


def no_change(_: FakeRun) -> None:
    return None


def noted(lab: Lab) -> list[str]:
    with lab.ledger() as ledger:
        return [text for _, _, kind, text in ledger.events() if kind == "sabotage"]


async def test_a_seed_that_fails_when_broken_is_recorded_and_not_tried_again(make_lab: MakeLab) -> None:
    lab = make_lab(no_change, trials=12, scaffold=ON)
    await lab.run()
    assert len(noted(lab)) == 1
    assert "scored 0 on" in noted(lab)[0]
    lab.trials = 30
    await lab.run()
    assert len(noted(lab)) == 1


async def test_an_agent_that_works_without_its_code_is_refused(make_lab: MakeLab) -> None:
    def installed(scene: FakeRun) -> str:
        scene.workspace["solution.py"] = b"right"
        return "the copy in the image"

    lab = make_lab(no_change, trials=60, scaffold=ON, solve=installed)
    with pytest.raises(UserError, match="copy of the agent in the image") as refused:
        await lab.run()
    assert refused.value.field == "scaffold.command"
    with lab.ledger() as ledger:
        assert len(ledger.candidates()) == 1
    with pytest.raises(UserError, match="copy of the agent"):  # a restart does not get round it
        await lab.run()


async def test_the_check_can_be_switched_off(make_lab: MakeLab) -> None:
    lab = make_lab(no_change, trials=12, scaffold={"sabotage": False}, look=lambda _: "not asked")
    await lab.run()
    assert noted(lab) == []


async def test_a_scaffold_that_an_image_hides_is_refused(make_lab: MakeLab) -> None:
    other, broken = json.dumps({SETTINGS: "another"}), ran("no python3", exit_code=127)
    with pytest.raises(UserError, match="does not reach /scaffold"):
        await make_lab(no_change, scaffold=ON, look=lambda _: other).run()
    with pytest.raises(UserError, match="cannot be read"):
        await make_lab(no_change, scaffold=ON, look=lambda _: broken).run()


def test_code_is_told_by_name_first_line_or_mode() -> None:
    assert all(is_code(path, b"") for path in ("a/b.py", "x.TS", "m.rs", "deep/s.sh"))
    assert is_code("tool", b"#!/bin/sh\n")
    assert is_code("tool", Executable(b"\x7fELF"))
    assert not any(is_code(path, b"be exact") for path in ("prompts/a.md", "agent.yaml", "x.json", "py"))
