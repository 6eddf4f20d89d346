"""What an improver is told of a patch that it is to bring over onto the champion, as pages and in short.

As all that improvers get, it is of search alone; words of models are in it as they were written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from agent.base.text import clean_line
from agent.base.types import Files
from agent.kernel.loop.attempts import Attempt
from agent.kernel.loop.pages import clipped, results_table

FOLDER = "bring-over"
SHOWN = 12_000
"""Characters of the patch and of each file that conflicts, in the short version."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BringOver:
    """A patch from candidate `base` to the attempt's, which conflicts with `onto` in these files, as git marks them."""

    attempt: Attempt
    base: int
    onto: int
    diff: str
    conflicts: Files

    def brief(self) -> dict[str, Any]:
        """For `brief.json`."""
        known = self.attempt.candidate
        marked = {path: clipped(text, SHOWN) for path, text in self._marked().items()}
        return {
            "candidate": known.id,
            "subject": known.subject,
            "body": known.body,
            "diff": clipped(self.diff, SHOWN),
            "conflicts": marked,
        }

    def pages(self) -> dict[str, bytes]:
        """The files below the context's folder."""
        texts = {
            "README.md": self._about(),
            "patch.diff": self.diff,
            "results.tsv": results_table([self.attempt]),
            **{f"conflicts/{path}": text for path, text in self._marked().items()},
        }
        return {f"{FOLDER}/{name}": text.encode() for name, text in texts.items()}

    def _marked(self) -> dict[str, str]:
        return {path: body.decode(errors="replace") for path, body in sorted(self.conflicts.items())}

    def _about(self) -> str:
        one = self.attempt
        known = one.candidate
        score = f"{one.mean:.3f} in {one.trials} trials" if one.trials else "no trial that you may see"
        where = ", ".join(f"`{clean_line(path)}`" for path in sorted(self.conflicts)) or "files that one side removed"
        facts = [
            f"- Patch: #{known.id}, made from #{self.base}; branch `candidate/{known.id}`",
            f"- Onto: #{self.onto}, which is in the workspace; branch `candidate/{self.onto}`",
            f"- Search score of #{known.id}: {score}; by task in `results.tsv`",
            f"- Conflicts: {where}",
        ]
        return "\n\n".join([f"# {clean_line(known.subject)}", "\n".join(facts), known.body]).rstrip() + "\n"
