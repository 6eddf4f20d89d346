"""What the commands share: common options, the configuration, the terminal, and hints that can be pasted.

Heavy imports happen inside the functions, so that `ratchet --help` answers at once.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.base.errors import UserError

if TYPE_CHECKING:
    from rich.console import Console

    from agent.config.campaign import Config

ConfigPath = Annotated[Path, typer.Argument(help="the campaign's configuration file", metavar="CAMPAIGN.YAML")]
CampaignName = Annotated[str | None, typer.Option(help="campaign name, instead of `name` in the file")]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON for programs")]
DEFAULT_CONFIG = Path("campaign.yaml")
_YAML = {".yaml", ".yml"}


def terminal(*, stderr: bool = False) -> Console:
    """Where people read; standard error when standard output belongs to a program."""
    from rich.console import Console

    return Console(soft_wrap=False, highlight=False, stderr=stderr)


def load(path: Path, overrides: dict[str, Any]) -> Config:
    """The configuration of a campaign; an override of None counts as not given. Raises UserError."""
    from agent.config.campaign import load_config

    if not path.exists():
        raise UserError(str(path), "there is no such file", f"Run `ratchet init {path}` to write a commented one.")
    return load_config(path, {key: value for key, value in overrides.items() if value is not None})


def again(command: str, path: Path, name: str | None = None) -> str:
    """A command line for the same campaign, ready to paste: the file and the name as the user gave them."""
    words = ["ratchet", *command.split(), *([] if path == DEFAULT_CONFIG else [str(path)])]
    return shlex.join(words + (["--name", name] if name is not None else []))


def git_in(folder: Path) -> str:
    """How a git command on the repository in a folder begins, ready to paste here."""
    here, there = Path.cwd(), folder.resolve()
    if there == here:
        return "git"
    return shlex.join(["git", "-C", str(there.relative_to(here) if there.is_relative_to(here) else there)])


def check_order(command: str, path: Path, *ids: str) -> None:
    """Raise UserError where the configuration file was given before the ids."""
    first = next((one for one in ids if Path(one).suffix in _YAML and not path.is_file()), None)
    if first is None:
        return
    rest = [one for one in (*ids, *([] if path == DEFAULT_CONFIG else [str(path)])) if one != first]
    rest += ["ID"] * (len(ids) - len(rest))
    raise UserError(
        first, "the configuration file comes last", f"Run `{shlex.join(['ratchet', command, *rest, first])}`."
    )


def candidate_number(command: str, given: str, path: Path) -> int:
    """The number in `7` or `#7`. Raises UserError."""
    check_order(command, path, given)
    digits = given.removeprefix("#")
    if not (digits.isascii() and digits.isdigit()):
        raise UserError(
            "ID", f"{given!r} is not the number of a candidate", f"Run `{again('status', path)}` to see them."
        )
    return int(digits)
