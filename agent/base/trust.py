"""Which files may be rewritten, and which are trusted: the rule, written once.

Mutable is `agent/scaffold/` and `prompts/`, nothing else. Every other file of `agent/` and `sandbox/` is trusted: no
patch can touch it, and its hash is in every commit that it decided on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

from agent.base.errors import RecordBroken

DEFAULT_MUTABLE = ("agent/scaffold", "prompts")


WHOLE = "."
"""The mutable path that stands for the whole repository."""


def inside(path: str, mutable: Iterable[str], frozen: Iterable[str] = ()) -> bool:
    """Whether a path is one of the mutable paths or below one, and none of the frozen ones."""
    return _below(path, tuple(mutable)) and not _below(path, tuple(frozen))


@lru_cache(maxsize=1 << 14)
def _below(path: str, entries: tuple[str, ...]) -> bool:
    return any(entry in {path, WHOLE} or path.startswith(f"{entry}/") for entry in entries)


def trusted_hash(root: Path | None = None) -> str:
    """SHA-256 over the trusted source files on disk: `agent/` without its scaffold, and `sandbox/`.

    Works for a checkout and for an installed package alike. `root` is the folder that holds both.

    Raises:
        RecordBroken: a trusted folder is missing or cannot be read.
    """
    root = root or Path(__file__).resolve().parents[2]
    digest = hashlib.sha256()
    try:
        for path in sorted(_trusted_files(root)):
            content = hashlib.sha256((root / path).read_bytes()).hexdigest()
            digest.update(f"{content}  {path}\n".encode())
    except OSError as fault:
        raise RecordBroken(f"the trusted source cannot be read: {fault}") from fault
    return digest.hexdigest()


def _trusted_files(root: Path) -> Iterator[str]:
    for folder in ("agent", "sandbox"):
        if not (root / folder).is_dir():
            raise RecordBroken(f"the trusted source cannot be read: {root / folder} is missing")
        for path in (root / folder).rglob("*"):
            name = path.relative_to(root).as_posix()
            if path.is_file() and "__pycache__" not in path.parts and not inside(name, DEFAULT_MUTABLE):
                yield name
