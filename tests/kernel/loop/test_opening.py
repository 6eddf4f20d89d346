"""What a campaign records about its models, and what a replay takes from it."""

from __future__ import annotations

from pathlib import Path

from agent.config.campaign import Config
from agent.kernel.loop.opening import remember_windows, with_recorded_windows
from agent.kernel.record.ledger import Ledger

LOCAL = {"provider": "openai", "model": "m", "base_url": "http://127.0.0.1:1/v1"}


def config(*solvers: dict[str, object]) -> Config:
    models = {"solver": [*solvers], "improver": {**LOCAL, "context_window": 4096}}
    return Config.model_validate({"suite": "s", "models": models})


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
