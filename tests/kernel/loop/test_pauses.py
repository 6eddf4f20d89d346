"""Pauses that end by themselves, keys that do not, and steps that hang."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from agent.base.errors import InfrastructureError, ProviderDown, SandboxDown
from agent.base.types import Purpose, Split
from agent.kernel.loop.watchdog import GRACE, Watchdog, stall_seconds
from agent.kernel.record.ledger import Ledger
from sandbox.fake import FakeRun
from tests.kernel.lab import SETTINGS, Lab, MakeLab, git, solve, suite


def better(scene: FakeRun) -> None:
    scene.workspace[SETTINGS] = b"SKILL = 80\n"
    scene.workspace["PATCH.md"] = b"Raise SKILL to 80\n"


class Provider:
    """The part of a gateway that tells of its providers."""

    def __init__(self, gateway: object, refused: InfrastructureError | None = None) -> None:
        self._gateway, self.refused = gateway, refused
        self.down, self.asked = False, 0
        self.up = asyncio.Event()

    def __getattr__(self, name: str) -> object:
        return getattr(self._gateway, name)

    def trouble(self) -> str | None:
        return "503 from the provider" if self.down else None

    async def ready(self) -> None:
        self.asked += 1
        if self.refused is not None:
            raise self.refused
        await self.up.wait()


def kinds(lab: Lab) -> list[str]:
    with lab.ledger() as ledger:
        return [kind for _, _, kind, _ in ledger.events()]


async def test_an_outage_of_a_provider_is_waited_out_and_the_campaign_goes_on_by_itself(make_lab: MakeLab) -> None:
    lab = make_lab(better, trials=60)
    async with lab.campaign() as campaign:
        provider = Provider(campaign.parts.gateway)
        campaign.pauses.gateway = provider
        campaign.config.boxes.__dict__["patience_minutes"] = 60.0
        left = 6

        def outage(scene: FakeRun) -> object:
            nonlocal left
            left -= 1
            if left == 0:
                provider.down = True
            if provider.down:
                raise ProviderDown("503 from the provider")
            return solve(scene)

        lab.solve = outage
        running = asyncio.create_task(campaign.run())
        while not provider.asked:  # noqa: ASYNC110 (what is watched is plain state)
            await asyncio.sleep(0.005)
        assert campaign.trouble == "503 from the provider"
        provider.down = False
        provider.up.set()
        assert "trials are used up" in await running
    assert kinds(lab).index("paused") < kinds(lab).index("resumed")
    with lab.ledger() as ledger:
        assert any("resumes when the provider answers again" in text for _, _, _, text in ledger.events())


async def test_a_refused_key_ends_the_campaign_at_once_with_its_name(make_lab: MakeLab) -> None:
    lab = make_lab(better)
    async with lab.campaign() as campaign:
        refused = InfrastructureError("OPENAI_API_KEY: the provider does not accept this key")
        provider = Provider(campaign.parts.gateway, refused)
        campaign.pauses.gateway = provider
        campaign.config.boxes.__dict__["patience_minutes"] = 60.0

        def outage(_: FakeRun) -> object:
            provider.down = True
            raise ProviderDown("401")

        lab.solve = outage
        with pytest.raises(InfrastructureError, match="OPENAI_API_KEY"):
            await campaign.run()
    with lab.ledger() as ledger:
        assert "OPENAI_API_KEY" in ledger.events()[-1][3]
        assert ledger.events()[-1][2] == "end"


async def test_a_fault_while_the_holdout_is_measured_is_made_good_by_the_same_run(make_lab: MakeLab) -> None:
    failed: list[bytes] = []

    def outage(scene: FakeRun) -> object:
        if b"of holdout" in scene.task["instruction.md"] and len(failed) < 3:
            failed.append(b"")
            raise SandboxDown("the engine hiccuped")
        return solve(scene)

    lab = make_lab(better, solve=outage)
    async with lab.campaign() as campaign:
        campaign.pauses.wait = 0.001
        campaign.config.boxes.__dict__["patience_minutes"] = 60.0
        await campaign.run()
    assert len(failed) == 3
    assert git(lab.repo, "log", "--format=%s", "main..ratchet/night") == "Raise SKILL to 80"
    assert kinds(lab).count("verdict") == kinds(lab).count("gate")


async def test_the_first_trial_of_a_candidate_is_made_again_after_a_fault(make_lab: MakeLab) -> None:
    seen: list[bytes] = []

    def outage(scene: FakeRun) -> object:
        if b"80" in scene.scaffold[SETTINGS] and not seen:
            seen.append(b"")
            raise SandboxDown("the engine hiccuped")
        return solve(scene)

    lab = make_lab(better, solve=outage, trials=120)
    async with lab.campaign() as campaign:
        campaign.pauses.wait = 0.001
        campaign.config.boxes.__dict__["patience_minutes"] = 60.0
        await campaign.run()
    with lab.ledger() as ledger:
        assert len([c for c, _, _ in ledger.indices(Purpose.SEARCH) if c == 1]) > 1


async def test_what_hangs_is_said_ended_and_made_again(make_lab: MakeLab) -> None:
    hung = asyncio.Event()

    async def hang(scene: FakeRun) -> object:
        if not hung.is_set():
            hung.set()
            await asyncio.sleep(3600)
        return solve(scene)

    lab = make_lab(better, solve=hang, trials=60)
    async with lab.campaign() as campaign:
        campaign.watchdog = Watchdog(0.2)
        campaign.pauses.wait = 0.001
        campaign.config.boxes.__dict__["patience_minutes"] = 60.0
        assert "trials are used up" in await campaign.run()
    assert {"stalled", "paused", "resumed"} <= set(kinds(lab))
    with lab.ledger() as ledger:
        said = [text for _, _, kind, text in ledger.events() if kind == "stalled"]
        assert "in flight" in said[0]
        assert not [trial for trial in ledger.trials() if "3600" in trial.reason]


def test_the_watchdog_counts_from_the_last_progress() -> None:
    now = 0.0
    dog = Watchdog(10.0, clock=lambda: now)
    assert not dog.stalled(1)
    now = 9.0
    assert not dog.stalled(2)
    now = 18.0
    assert not dog.stalled(2)
    now = 20.0
    assert dog.stalled(2)
    assert not dog.stalled(2)


async def test_the_watchdog_never_bites_before_a_step_may_take_its_time(make_lab: MakeLab) -> None:
    lab = make_lab(better)
    async with lab.campaign() as campaign:
        config = campaign.config
        config.boxes.__dict__["stall_minutes"] = 0.01
        slow = replace(suite().split(Split.GATE)[0], solve_timeout=5000.0)
        assert stall_seconds(config, replace(suite(), tasks=(slow,))) >= 5000.0 + GRACE


async def test_a_stop_says_what_is_in_flight_and_leaves_a_line_in_the_record(make_lab: MakeLab) -> None:
    lab = make_lab(better)
    async with lab.campaign() as campaign:
        running = asyncio.create_task(campaign.run())
        while not campaign.state.trials:  # noqa: ASYNC110 (what is watched is plain state)
            await asyncio.sleep(0.001)
        campaign.stop("stopped on request")
        campaign.stop("again")
        assert await running == "stopped on request"
    with Ledger(lab.folder / "ledger.sqlite", read_only=True) as ledger:
        (said,) = [text for _, _, kind, text in ledger.events() if kind == "stopping"]
    assert said.startswith("stopped on request; finishing")
    assert "min at most" in said


async def test_a_campaign_that_is_cancelled_says_so_in_its_record(make_lab: MakeLab) -> None:
    lab = make_lab(better)
    async with lab.campaign() as campaign:
        running = asyncio.create_task(campaign.run())
        while not campaign.state.trials:  # noqa: ASYNC110 (what is watched is plain state)
            await asyncio.sleep(0.001)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    with lab.ledger() as ledger:
        assert ledger.events()[-1][3].startswith("stopped at once")


async def test_a_pause_for_load_stays_short_however_often_it_happens(make_lab: MakeLab) -> None:
    lab = make_lab(better)
    async with lab.campaign() as campaign:
        pauses = campaign.pauses
        pauses.wait = 0.002
        pauses._patience = 60.0
        for _ in range(6):
            await pauses.pause("starved", longest=0.01)
        assert pauses.wait == 0.01
        await pauses.pause("the engine is gone")
        assert pauses.wait == 0.02
