"""A hash that is equal for trees which read the same."""

from __future__ import annotations

import hashlib

from agent.base.types import Files
from agent.kernel.decide.parsing import Readings


def fingerprint(files: Files, readings: Readings) -> str:
    """A hash that is equal for trees that differ only in comments and layout of Python files.

    Docstrings count: a program can read them. Python that does not parse is taken byte by byte. `readings` holds
    every `.py` file of the tree.
    """
    digest = hashlib.sha256()
    for path in sorted(files):
        content = files[path]
        essence = readings[content].essence.encode() if path.endswith(".py") else b""
        for part in (path.encode("utf-8", "surrogatepass"), essence or b"\0" + content):
            digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()
