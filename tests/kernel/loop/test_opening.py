"""What a campaign records about its models, and what a replay takes from it."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from agent.base.errors import UserError
from agent.base.types import Candidate, Fate
from agent.config.campaign import Config
from agent.kernel.decide.archive import SearchSettings
from agent.kernel.decide.gate import Control, GateSettings, threshold
from agent.kernel.loop.match import Opening
from agent.kernel.loop.opening import check_error, remember_windows, with_recorded_windows
from agent.kernel.loop.settings import gate_settings
from agent.kernel.loop.state import State
from agent.kernel.record.ledger import Ledger

LOCAL = {"provider": "openai", "model": "m", "base_url": "http://127.0.0.1:1/v1"}


def config(*solvers: dict[str, object], **gate: object) -> Config:
    models = {"solver": [*solvers], "improver": {**LOCAL, "context_window": 4096}}
    return Config.model_validate({"suite": "s", "models": models, "gate_options": gate})


def candidate(number: int) -> Candidate:
    above = 0 if number else None
    return Candidate(id=number, parent=above, tree="t", subject="s", body="", fate=Fate.OPEN, reason="", size=1)


def windows(given: Config, role: str) -> list[int | None]:
    return [model.context_window for model in given.models.of(role)]


def test_a_replay_gets_the_windows_that_servers_reported_to_the_campaign(tmp_path: Path) -> None:
    reported = config({**LOCAL, "context_window": 8192}, {**LOCAL, "model": "n"})
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        remember_windows(ledger, reported.models)
        found = with_recorded_windows(config(LOCAL, {**LOCAL, "model": "n"}), ledger)
    assert windows(found, "solver") == [8192, None]
    assert windows(found, "improver") == [4096]
    assert found.models.as_replay().of("solver")[0].window == 8192


def test_without_a_record_the_configuration_counts(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        assert with_recorded_windows(config(LOCAL), ledger) == config(LOCAL)
        remember_windows(ledger, config({**LOCAL, "context_window": 8192}).models)
        two = with_recorded_windows(config(LOCAL, LOCAL), ledger)
    assert windows(two, "solver") == [None, None], "other models than then"


@pytest.mark.parametrize(
    ("changed", "field"),
    [({"alpha": 0.2}, "alpha"), ({"spending": 30}, "spending"), ({"error": "familywise"}, "error")],
)
def test_a_campaign_does_not_go_on_with_more_error_than_its_tests_left(
    tmp_path: Path, changed: dict[str, object], field: str
) -> None:
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        for number in (0, 1):
            ledger.add_candidate(candidate(number), fingerprint=None, diff="", transcript="")
        check_error(config(LOCAL, **changed), ledger)
        opening = Opening(settings=gate_settings(config(LOCAL, alpha=0.1)), runs=10)
        ledger.open_test(candidate=1, champion=0, commits=0, policy="proven", settings=opening.recorded())
        with pytest.raises(UserError, match="at gate test 1") as caught:
            check_error(config(LOCAL, **changed), ledger)
        assert caught.value.field == f"gate_options.{field}"
        check_error(config(LOCAL, alpha=0.05, spending=2), ledger)


@pytest.mark.parametrize("later", [1, 4, 29, 30])
@pytest.mark.parametrize("tests", [0, 1, 5, 20, 100])
def test_a_smaller_spending_in_the_middle_of_a_campaign_keeps_the_error(tests: int, later: int) -> None:
    before, after = (GateSettings(control=Control.FAMILYWISE, spending=one) for one in (30, later))
    parts = [math.exp(-threshold(i, 0, before if i <= tests else after)) for i in range(1, 3000)]
    assert sum(parts) <= before.level


@pytest.mark.parametrize(("policy", "proven"), [("proven", 1), ("better", 0)])
def test_only_what_the_gate_proved_lets_the_error_of_later_tests_grow(tmp_path: Path, policy: str, proven: int) -> None:
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        for number in (0, 1):
            ledger.add_candidate(candidate(number), fingerprint=None, diff="", transcript="")
        test = ledger.open_test(candidate=1, champion=0, commits=0, policy=policy, settings={})
        ledger.close_test(test.id, "accepted", {})
        ledger.add_commit(sha="c0ffee", parent="base", candidate=1, test=test.id)
        state = State(ledger, SearchSettings(task_count=2))
        assert (state.accepted, state.proven) == (1, proven)


def test_a_test_that_the_budget_cut_short_does_not_keep_its_candidate_from_another(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        for number in (0, 1, 2):
            ledger.add_candidate(candidate(number), fingerprint=None, diff="", transcript="")
        for number, verdict in ((1, "out of budget"), (2, "not better")):
            test = ledger.open_test(candidate=number, champion=0, commits=0, policy="proven", settings={})
            ledger.close_test(test.id, verdict, {})
        state = State(ledger, SearchSettings(task_count=2))
        state.restore()
        assert state.archive.tried == {(2, 0)}
