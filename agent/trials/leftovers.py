"""What tools leave behind in a workspace and nobody looks at, as globs: large folders must not refuse a patch."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import islice

from agent.base.trust import WHOLE
from agent.base.types import Files
from sandbox.globs import literal, matcher

_OF_TOOLS = ("node_modules", ".venv", "venv", ".cache", ".npm", ".aider*", ".claude", ".codex", ".opencode", ".pi")
_IGNORE = ".gitignore"
_MOST_PATTERNS = 100
_LONGEST_PATTERN = 256
_MOST_STARS = 2
"""Of one name in a path: with each one more, a pattern that nearly fits takes about 100 times longer."""


def below(paths: Iterable[str]) -> list[str]:
    """Globs of paths of a repository and of all below them."""
    tops = [literal(path) for path in paths]
    return ["**"] if WHOLE in tops else [*tops, *(f"{top}/**" for top in tops)]


def leftovers(before: Files, dropped: Iterable[str]) -> list[str]:
    """Globs of git's folder, of what tools leave, `dropped` among it, and of what the scaffold's `.gitignore` names.

    A glob that fits one of the files `before`, or a folder of them, is not among them: those belong to the scaffold.
    """
    names = [f"**/{name}" for name in (*sorted(dropped), *_OF_TOOLS)]
    given = [*names, *_ignored(before.get(_IGNORE, b"").decode(errors="replace"))]
    return ["**/.git", *_without(tuple(dict.fromkeys(given)), frozenset(before))]


@lru_cache(maxsize=64)
def _without(globs: tuple[str, ...], paths: frozenset[str]) -> list[str]:
    """The globs that fit none of some paths, nor a folder of them. Most candidates have the paths of their parent."""
    known = {path[:end] for path in paths for end in _ends(path)}
    return [glob for glob in globs if not any(map(matcher([glob]), known))]


def _ends(path: str) -> Iterator[int]:
    """Where a path's folders end, and the path itself."""
    return (at for at in range(1, len(path) + 1) if at == len(path) or path[at] == "/")


def _ignored(text: str) -> list[str]:
    """The patterns of a `.gitignore` as our globs; none of a file with exceptions, which globs do not have.

    A candidate can write the file, and every path is held against each pattern: those that are broken or slow, and
    those after the first hundred, are left out. What they name counts as part of the patch.
    """
    lines = [line.strip() for line in text.splitlines()]
    patterns = [line.rstrip("/") for line in lines if line and not line.startswith("#")]
    if any(line.startswith("!") for line in patterns):
        return []
    globs = (pattern.removeprefix("/") if "/" in pattern else f"**/{pattern}" for pattern in patterns if pattern)
    return list(islice(filter(_usable, map(_single_stars, globs)), _MOST_PATTERNS))


def _single_stars(glob: str) -> str:
    """As git reads it: several stars that are not the whole of a name are one."""
    return "/".join(name if name == "**" else re.sub(r"\*+", "*", name) for name in glob.split("/"))


def _usable(glob: str) -> bool:
    """Whether a glob can be matched, and in little time whatever the path is."""
    *above, _ = names = glob.split("/")
    if len(glob) > _LONGEST_PATTERN or above.count("**") > 1:
        return False
    if any(name.count("*") > _MOST_STARS for name in names):
        return False
    try:
        matcher([glob])
    except re.error:
        return False
    return True
