"""What the dashboard can do to a campaign: the functions of the command line."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from agent.base.text import clean_line
from agent.config.campaign import Config
from agent.kernel.decide.gate import GateSettings
from agent.kernel.loop.approval import Request
from agent.kernel.loop.settings import gate_settings
from agent.kernel.record.lock import signal_holder
from agent.live.control import decide, detach


class Actions:
    """The actions on one campaign. Each returns a sentence for people, and raises UserError or InfrastructureError."""

    def __init__(self, config: Config, path: Path) -> None:
        self._config, self._path = config, path

    @property
    def campaign(self) -> str:
        """The campaign's name."""
        return self._config.name

    @property
    def gate(self) -> GateSettings:
        """The settings of its gate."""
        return gate_settings(self._config)

    def start(self) -> str:
        """Run it in the background; returns when it has begun or failed to begin."""
        said = io.StringIO()
        code = detach(self._config, self._path, ["--name", self._config.name], Console(file=said, width=400))
        text = " ".join(said.getvalue().split())
        return text if code == 0 else f"it did not start (exit code {code}): {text}"

    def stop(self) -> str:
        """Ask it to finish the work in flight and to end."""
        return f"asked process {signal_holder(self._config.folder)} to stop; it finishes the work in flight first"

    def decide(self, candidate: int, *, approve: bool, by: str, why: str) -> str:
        """Approve or reject a waiting patch."""
        return decide(
            self._config, Request(approve=approve, candidate=candidate, by=clean_line(by), why=clean_line(why))
        )
