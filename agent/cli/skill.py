"""`ratchet skill`: teaches a coding agent to drive Ratchet, by an agent skill in the open format."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agent.base.errors import UserError

app = typer.Typer()

SKILL = Path(__file__).with_name("SKILL.md")


@app.command()
def skill(
    folder: Annotated[
        Path, typer.Argument(help="folder of the agent's skills, for example ~/.claude/skills or .agents/skills")
    ] = Path(".claude/skills"),
    *,
    show: Annotated[bool, typer.Option("--show", help="print the skill and write nothing")] = False,
    force: Annotated[bool, typer.Option("--force", help="overwrite an existing skill")] = False,
) -> None:
    """Write a skill that teaches a coding agent to drive Ratchet.

    The skill is a folder `ratchet` with SKILL.md, which Claude Code, Codex, pi and others read.
    """
    text = SKILL.read_text(encoding="utf-8")
    if show:
        typer.echo(text, nl=False)
        return
    target = folder.expanduser() / "ratchet" / "SKILL.md"
    if target.exists() and not force:
        raise UserError(str(target), "the file exists", "Choose another folder, or add --force.")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    except OSError as error:
        problem = f"cannot write the file ({error.strerror})"
        raise UserError(str(target), problem, "Choose a folder that you may write.") from error
    typer.echo(f"wrote {target}")
