"""What improvers write down for those after them: one bounded text a campaign, merged line by line. Pure.

Every proposal gets the text as it is, and may leave a changed one. Proposals run beside one another, so what comes
back is merged: lines that a proposal removed go, lines that it added are put at the end. It is a stranger's text:
cleaned, cut, and never read by the kernel.
"""

from __future__ import annotations

from agent.base.text import clean_lines, cut

MOST_BYTES = 8 << 10
LINE_CHARS = 400


def merged(current: str, given: str, left: bytes) -> str:
    """The lessons after a proposal that got `given` and left `left`; the oldest lines go where there is no room."""
    before, after = given.splitlines(), [cut(line, LINE_CHARS) for line in clean_lines(left)]
    removed = set(before) - set(after)
    kept = [line for line in current.splitlines() if line not in removed]
    known = {*before, *kept} - {""}
    return _bounded(kept + [line for line in _separated(after) if line not in known])


def _separated(lines: list[str]) -> list[str]:
    """Lines without the empty ones: what is merged line by line has no paragraphs."""
    return [line for line in lines if line.strip()]


def _bounded(lines: list[str]) -> str:
    size, kept = 0, list[str]()
    for line in reversed(_separated(lines)):
        size += len(line.encode()) + 1
        if size > MOST_BYTES:
            break
        kept.append(line)
    return "".join(f"{line}\n" for line in reversed(kept))
