"""What every command begins with: the configuration, the record and the repository of a campaign.

Heavy imports happen inside the functions, so that `ratchet --help` answers at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.base.errors import UserError

if TYPE_CHECKING:
    from rich.console import Console

    from agent.config.campaign import Config

ConfigPath = Annotated[Path, typer.Argument(help="the campaign's configuration", metavar="CAMPAIGN.YAML")]
CampaignName = Annotated[str | None, typer.Option(help="campaign name instead of the file's")]
AsJson = Annotated[bool, typer.Option("--json", help="for programs")]
DEFAULT_CONFIG = Path("campaign.yaml")


def terminal(*, beside: bool = False) -> Console:
    """Where people read; `beside` what a program reads on standard output, on standard error."""
    from rich.console import Console

    return Console(soft_wrap=False, highlight=False, stderr=beside)


def load(path: Path, overrides: dict[str, Any]) -> Config:
    """The configuration of a campaign; an override that is None is not given. Raises UserError."""
    from agent.config.campaign import load_config

    if not path.exists():
        raise UserError(str(path), "does not exist", f"`ratchet init {path}` writes a commented one.")
    return load_config(path, {key: value for key, value in overrides.items() if value is not None})
