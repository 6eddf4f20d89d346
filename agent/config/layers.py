"""Image layers in suites and in campaign.yaml: which Dockerfile instructions may be written."""

from __future__ import annotations

BUILD_WORDS = ("RUN", "ENV", "ARG", "SHELL", "WORKDIR")


def layer_fault(line: str) -> tuple[str, str] | None:
    """What is wrong with one layer, and the fix; None if nothing is."""
    word, _, rest = line.strip().partition(" ")
    if word.upper() not in BUILD_WORDS or not rest.strip():
        return f"{line!r:.60} is not offered", f"Begin with {', '.join(BUILD_WORDS)}."
    if "\n" in line.strip().replace("\\\n", ""):
        return f"{line!r:.60} is more than one instruction", "Make it items of the list."
    return None


def checked_layer(line: str) -> str:
    """The same line. Raises ValueError with problem and fix."""
    if fault := layer_fault(line):
        raise ValueError(". ".join(fault))
    return line
