"""How a person controls a campaign: its commits, what stops it, who is notified."""

from __future__ import annotations

import os
import shutil
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from agent.base.complaints import suggestion
from agent.base.errors import UserError
from agent.config.section import Positive, Section, Share

FLAG_KINDS = (
    "network",
    "other programs",
    "code made at run time",
    "checks switched off",
    "paths that only grading uses",
    "names a task",
    "text of a task",
)
"""The kinds of flags that `agent.kernel.decide.flags` gives a patch."""


def flag_word(word: str) -> str:
    """A part of the name of a kind of flag, as it is. Raises ValueError."""
    if not word.strip() or not any(word.casefold() in kind for kind in FLAG_KINDS):
        raise ValueError(f"no kind of flag holds {word!r}. {suggestion(word, FLAG_KINDS)}")
    return word


class CommitConfig(Section):
    """How the campaign's commits look."""

    sign: bool | str = Field(
        default=False, description="sign each commit with git's own signing; a text names the key to sign with"
    )
    author: Annotated[str, Field(pattern=r"^[^<>\n]+ <[^<>\s]+>$")] | None = Field(
        default=None, description="author of each commit, as `Name <email>`; by default Ratchet, like the committer"
    )
    patches: Literal["one", "each"] = Field(
        default="one",
        description="several patches that the gate accepts together become `one` commit for all, or one commit for"
        " `each`, of which only the last one's tree is proven",
    )
    attribute: Annotated[int, Field(ge=0, le=4096)] = Field(
        default=80,
        description="groups of trials, at most, in which each of several accepted patches is left out; what is shown to"
        " add nothing is not committed if the rest passes the gate. 0: commit all",
    )


class TripwireConfig(Section):
    """When a campaign stops, or a patch waits, until a person has looked."""

    holdout_drop: Share | None = Field(
        default=None, description="stop if a champion's held-out score is more than this below its predecessor's"
    )
    dollars_per_point: Positive | None = Field(
        default=None,
        description="stop if the dollars spent, divided by the proven points (hundredths of a score, at least one),"
        " are more than this",
    )
    patch_kb: Positive | None = Field(
        default=None, description="an accepted patch with more KiB of difference waits for `ratchet approve`"
    )
    flags: tuple[Annotated[str, AfterValidator(flag_word)], ...] = Field(
        default=(),
        description="an accepted patch waits if it has a flag of one of these kinds; a part of a name is enough",
    )


class NotifyConfig(Section):
    """Who is notified of what. A notification that fails is recorded and does no harm."""

    command: tuple[str, ...] = Field(
        default=(), description="program and arguments to run; it gets the event as JSON on standard input"
    )
    webhook: Annotated[str, Field(pattern=r"^(https?://|\$[A-Za-z_])")] | None = Field(
        default=None, description="URL to POST the event to as JSON; $NAME reads it from the environment"
    )
    events: tuple[Literal["commit", "approval", "tripwire", "pause", "resume", "stall", "warning", "end"], ...] = Field(
        default=("commit", "approval", "tripwire", "pause", "stall", "warning", "end"),
        description="kinds of events to send",
    )

    def check(self) -> None:
        """Check that the command can be found, and that the variable of `webhook` is set. Raises UserError."""
        if self.command and shutil.which(self.command[0]) is None:
            problem = f"there is no program {self.command[0]!r} that can be run"
            raise UserError("notify.command", problem, "Give the path of one, and make it executable.")
        _ = self.address

    @property
    def address(self) -> str | None:
        """Where `webhook` leads. Raises UserError if the variable that it names holds no address."""
        if self.webhook is None or not self.webhook.startswith("$"):
            return self.webhook
        name = self.webhook[1:]
        value = os.environ.get(name, "")
        if not value.startswith(("http://", "https://")):
            problem = f"the variable {name} is not a web address"
            raise UserError("notify.webhook", problem, f"Run `export {name}=https://...` first.")
        return value
