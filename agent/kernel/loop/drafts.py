"""The proposals that are being written now: each may know what the others say of theirs.

A subject is the first line of the PATCH.md that a box sent with its last request: words of a model, one printable line.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from agent.base.text import clean_line, cut

SUBJECT_CHARS = 72


@dataclass(kw_only=True, eq=False, slots=True)
class Draft:
    """One proposal under way, among `all`; `brings` is the candidate that it brings over.

    `begun` is a time of the monotonic clock, in seconds.
    """

    parent: int
    brings: int | None
    all: Sequence[Draft] = field(repr=False)
    begun: float = field(default_factory=time.monotonic)
    subject: str = ""

    def says(self, note: str) -> None:
        """Take the subject from what its PATCH.md says now."""
        first = next((line for line in note.splitlines() if line.strip()), "")
        self.subject = cut(clean_line(first.lstrip("# ")), SUBJECT_CHARS)

    @property
    def others(self) -> list[Draft]:
        """The proposals beside it, the oldest first."""
        return [one for one in self.all if one is not self]


class Drafts:
    """All proposals of a campaign that are under way."""

    def __init__(self) -> None:
        self._open: list[Draft] = []

    def new(self, parent: int, brings: int | None = None) -> Draft:
        """One that the others do not know of yet."""
        return Draft(parent=parent, brings=brings, all=self._open)

    @contextmanager
    def opened(self, parent: int, brings: int | None) -> Iterator[Draft]:
        """One that the others know of, until it ends."""
        draft = self.new(parent, brings)
        self._open.append(draft)
        try:
            yield draft
        finally:
            self._open.remove(draft)
