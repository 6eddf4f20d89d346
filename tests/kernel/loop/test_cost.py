"""A campaign under the second objective: what is as good and cheaper is committed, and the commit says so."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import pytest

from agent.base.trust import DEFAULT_MUTABLE
from agent.base.types import Purpose
from agent.config.campaign import Config
from agent.kernel.decide.cheaper import CostTest, Gain
from agent.kernel.git.repository import Repository
from agent.kernel.loop.match import opened_with, retest
from agent.review.audit.verify import Evidence, verify
from agent.review.report.facts import collect
from sandbox.fake import FakeRun
from tests.kernel.lab import SETTINGS, Lab, MakeLab, git, solve, suite

EASY = {"alpha": 0.5, "spending": 1, "not_worse": 0.3, "cost": "tokens"}


def options(**more: object) -> dict[str, object]:
    return {"gate_options": {**EASY, **more}}


async def ask(socket: Path | None, question: str) -> None:
    """One call, by hand: a client would take longer to make than the call takes."""
    body = json.dumps({"model": "ratchet", "messages": [{"role": "user", "content": question}]}).encode()
    reader, writer = await asyncio.open_unix_connection(str(socket))
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: box\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    writer.write(head.encode() + body)
    assert b" 200 " in await reader.readline()
    await reader.read()
    writer.close()


async def calling(scene: FakeRun) -> str:
    """A scaffold that asks a model as often as its settings say, then solves by its skill."""
    found = re.search(rb"CALLS = (\d+)", scene.scaffold.get(SETTINGS, b""))
    for number in range(int(found[1]) if found else 3):
        await ask(scene.socket, f"question {number}")
    return solve(scene)


def frugal(scene: FakeRun) -> None:
    """An improver that asks less."""
    scene.workspace[SETTINGS] = b"SKILL = 20\nCALLS = 1\n"
    scene.workspace["PATCH.md"] = b"Ask once\n"


def wasteful(scene: FakeRun) -> None:
    scene.workspace[SETTINGS] = b"SKILL = 20\nCALLS = 5\n"


def careless(scene: FakeRun) -> None:
    """An improver that asks less and solves nothing."""
    scene.workspace[SETTINGS] = b"SKILL = 0\nCALLS = 1\n"


def committed(lab: Lab) -> list[str]:
    return git(lab.repo, "log", "--format=%s", "main..ratchet/night").splitlines()


async def test_what_is_as_good_and_cheaper_is_committed_with_its_claim(make_lab: MakeLab) -> None:
    lab = make_lab(frugal, solve=calling, options=options(objective="cost"), trials=250)
    await lab.run()
    assert committed(lab) == ["Ask once"]
    claim = git(lab.repo, "log", "-1", "--format=%(trailers:key=Ratchet-Claim,valueonly)", "ratchet/night")
    assert re.fullmatch(
        r"as good and cheaper: not worse by 0.3 or more, and [\d,]+ tokens -> [\d,]+ tokens a trial \(-\d+%\)", claim
    )
    evidence = git(lab.repo, "log", "-1", "--format=%(trailers:key=Ratchet-Evidence,valueonly)", "ratchet/night")
    assert re.fullmatch(r"e-values: better \S+, not worse \S+, cheaper \S+; \S+ needed", evidence)
    with lab.ledger() as ledger:
        row = next(row for row in ledger.tests() if row.verdict == "accepted")
        opening = opened_with(ledger, row.id)
        assert opening is not None
        again = retest(row, ledger, opening)
        assert isinstance(again, CostTest)
        decision = again.decide()
        assert decision is not None
        assert row.decision is not None
        assert decision.sentence == row.decision["sentence"]
        assert row.decision["gain"] == Gain.CHEAPER
        pair = ledger.pair_trials(row.id)[0]
        assert pair[1].usage.sure_tokens > pair[2].usage.most_tokens > 0
        assert pair[2].usage.most_tokens == pair[2].usage.tokens_in + pair[2].usage.tokens_out, "shared answers count"
        repository = Repository.open(lab.repo, "night", DEFAULT_MUTABLE, ledger.recollect("base"))
        evidence = Evidence(ledger=ledger, repository=repository, opening=opening, seed=0, suite=suite())
        checks = verify(repository.commit("ratchet/night"), evidence)
        assert [one for one in checks if one.ok is False] == []
        assert any(one.what == "Ratchet-Claim" for one in checks)
        meetings = [one for one in collect(ledger).meetings if one.test == row.id]
        assert [one.agrees for one in meetings] == [True], "the report recomputes both processes"


@pytest.mark.slow
@pytest.mark.parametrize("improve", [wasteful, careless])
async def test_what_costs_more_or_solves_less_is_not(make_lab: MakeLab, improve: object) -> None:
    lab = make_lab(improve, solve=calling, options=options(objective="both"), trials=120)
    await lab.run()
    assert committed(lab) == []


@pytest.mark.slow
async def test_a_killed_campaign_decides_the_same(make_lab: MakeLab) -> None:
    lab = make_lab(frugal, solve=calling, options=options(objective="cost"), trials=250)
    async with lab.campaign() as campaign:
        running = asyncio.create_task(campaign.run())
        while campaign.match is None or campaign.match.pairs < 5:  # noqa: ASYNC110 (what is watched is plain state)
            await asyncio.sleep(0.01)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    await lab.run()
    assert committed(lab) == ["Ask once"]


async def test_sides_whose_seconds_count_run_one_after_the_other(make_lab: MakeLab) -> None:
    under_way, most = 0, 0

    async def timed(scene: FakeRun) -> str:
        nonlocal under_way, most
        gate = b"of gate" in scene.task["instruction.md"]
        under_way, most = under_way + gate, max(most, under_way + gate)
        slow = b"CALLS = 1\n" not in scene.scaffold.get(SETTINGS, b"")
        await asyncio.sleep(0.01 if slow else 0.001)
        under_way -= gate
        return solve(scene)

    lab = make_lab(frugal, solve=timed, options=options(objective="cost", cost="seconds"), trials=120)
    await lab.run()
    assert most == 1
    with lab.ledger() as ledger:
        assert ledger.trials(purpose=Purpose.GATE)


def test_cost_needs_a_proof() -> None:
    with pytest.raises(ValueError, match="needs gate: proven"):
        Config.model_validate(
            {"suite": "s", "models": {"solver": {"provider": "scripted", "script": "s"}}, "gate": "better",
             "gate_options": {"objective": "cost"}}
        )  # fmt: skip
