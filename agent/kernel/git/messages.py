"""Commits as they are written and read: the message with its trailers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agent.base.text import clean_line

CAMPAIGN_TRAILER = "Ratchet-Campaign"

COMMIT_FORMAT = "%H%x00%T%x00%P%x00%at%x00%ce%x00%B%x00%(trailers:only,unfold)%x00"
"""What git is asked to print of a commit: `COMMIT_FIELDS` fields, each ended by NUL."""

COMMIT_FIELDS = 7

_TRAILER_KEY = re.compile(r"[A-Za-z][A-Za-z0-9-]*")


@dataclass(frozen=True, kw_only=True, slots=True)
class Commit:
    """One commit as it is reviewed. `time` is in Unix seconds; `email` is the committer's; `body` has no trailers."""

    sha: str
    tree: str
    parents: tuple[str, ...]
    time: int
    email: str
    subject: str
    body: str
    trailers: Mapping[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class CommitStyle:
    """What a user may choose about a campaign's commits. `sign` is a key, "" for git's own choice, None for none.

    `author` is (name, email); the committer is always Ratchet.
    """

    sign: str | None = None
    author: tuple[str, str] | None = None


PLAIN = CommitStyle()


def format_message(subject: str, body: str, trailers: Mapping[str, str]) -> str:
    """Join a cleaned subject and body with trailers that `git interpret-trailers` reads back.

    Raises:
        ValueError: a key is not a valid trailer token.
    """
    for key in trailers:
        if not _TRAILER_KEY.fullmatch(key):
            raise ValueError(f"{key!r} is not a valid trailer token")
    block = "\n".join(f"{key}: {clean_line(value)}" for key, value in trailers.items())
    return "\n\n".join(part for part in (subject, body.strip("\n"), block) if part) + "\n"


def parse_commits(printed: bytes) -> list[Commit]:
    """What git printed by `COMMIT_FORMAT`; undecodable bytes are replaced."""
    fields = printed.decode(errors="replace").split("\0")
    return [_commit(fields[at : at + COMMIT_FIELDS]) for at in range(0, len(fields) - 1, COMMIT_FIELDS)]


def _commit(fields: Sequence[str]) -> Commit:
    sha, tree, parents, when, email, text, raw = fields
    trailers = dict(line.split(": ", 1) for line in raw.split("\n") if ": " in line)
    subject, _, body = text.strip("\n").partition("\n")
    body = body.strip("\n")
    if trailers:
        body = body.rpartition("\n\n")[0]
    return Commit(
        sha=sha.strip(),
        tree=tree,
        parents=tuple(parents.split()),
        time=int(when),
        email=email,
        subject=subject,
        body=body.strip("\n"),
        trailers=trailers,
    )
