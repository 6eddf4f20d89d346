"""Globs over relative paths, on both sides; a copy lies in the image. Standard library of Python 3.9 or later only."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

SPECIAL = frozenset("*?[")
MOST_KNOWN = 1 << 10
_KNOWN: dict[tuple[str, ...], Callable[[str], bool]] = {}
"""The latest tests, since to make one takes longest; `functools` would take long to load."""

_TOKEN = r"\*\*/|\*\*|\*|\?|\[!?\]?[^\]]*\]|."  # noqa: S105 - a piece of a glob


def matcher(globs: Iterable[str]) -> Callable[[str], bool]:
    """A test whether a relative path matches one of the globs.

    `*` and `?` stay within a folder, `**` crosses folders, `[...]` is a class; a glob that ends in `/` means all below.
    """
    wanted = tuple(globs)
    if not any(glob.endswith("/") or not SPECIAL.isdisjoint(glob) for glob in wanted):
        return frozenset(glob.removeprefix("./") for glob in wanted).__contains__
    known = _KNOWN.get(wanted)
    if known is None:
        if len(_KNOWN) >= MOST_KNOWN:
            _KNOWN.clear()
        known = _KNOWN[wanted] = _compiled(wanted)
    return known


def _compiled(globs: tuple[str, ...]) -> Callable[[str], bool]:
    import re  # noqa: PLC0415 - a box whose globs are names does without

    tokens, escape = re.compile(_TOKEN, re.DOTALL).findall, re.escape
    parts = ("".join(_piece(token, escape) for token in tokens(_whole(glob))) for glob in globs)
    whole = re.compile("|".join(f"(?:{part})" for part in parts), re.DOTALL)
    return lambda path: whole.fullmatch(path) is not None


def literal(path: str) -> str:
    """The glob that matches one path alone."""
    return "".join(f"[{c}]" if c in SPECIAL else c for c in path)


def _whole(glob: str) -> str:
    return (glob + "**" if glob.endswith("/") else glob).removeprefix("./")


def _piece(token: str, escape: Callable[[str], str]) -> str:
    fixed = {"**/": "(?:[^/]+/)*", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    if token in fixed:
        return fixed[token]
    if len(token) > 1:
        inside = token[1:-1].replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]")
        negated = inside.startswith("!")
        body = inside[1:] if negated else inside.replace("^", "\\^", 1) if inside.startswith("^") else inside
        return f"(?!/)[{'^' if negated else ''}{body}]"
    return escape(token)
