"""Three-way merge of one Python source by its definitions, for files in which a merge by lines conflicts.

What only one side changed is taken from it: functions, classes and their methods, assignments, imports, and other
statements of a module. What both changed differently stays a conflict. Sources are cut into spans by their syntax tree,
each with the comments and blank lines before it, and spans are put together again: nothing is printed from a tree, so
comments and layout stay. What comes out is parsed again; unless it consists of just these spans, it is a conflict.

Standard library only, because this file is also run as a program on hostile source (see `kernel.loop.reading`).
"""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher
from itertools import chain, count, islice

_BOM = "\ufeff"
_DEFINED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)

_BEFORE = re.compile(r"(?:[ \t\f]*(?:#.*)?\n)*")
"""Comments and blank lines before a statement."""

Key = tuple[str, str, int]
"""Kind, name, and how many of both come before it on the same level; in a merge: in the base (see `_aligned`)."""


class Conflict(Exception):
    """Both sides changed the same thing."""


@dataclass(frozen=True, slots=True)
class Span:
    """Some statements, with what stands before them; `binds` has the names that they bind and to what, as text.

    `inner` are the header of a class, and the spans of its body.
    """

    key: Key
    text: str
    binds: Mapping[str, str] = field(default_factory=dict)
    inner: tuple[str, list[Span]] | None = None


def weave(base: bytes, ours: bytes, theirs: bytes) -> bytes | None:
    """The merge of two changed sources; None if it conflicts, or if one of them cannot be parsed."""
    if ours in {base, theirs}:
        return theirs
    if theirs == base:
        return ours
    try:
        spans = _merged(*map(_spans_of, (base, ours, theirs)))
        woven = "".join(span.text for span in spans).encode()
        found = _spans_of(woven)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(woven, "merged", "exec", dont_inherit=True)
    except (Conflict, SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    planned, made = ([(*span.key[:2], span.text) for span in some if span.text] for some in (spans, found))
    return woven if planned == made else None


# ------------------------------------------------------------------------------------ cutting


def _spans_of(source: bytes) -> list[Span]:
    text = source.decode()
    if "\r" in text or text.startswith(_BOM):
        raise Conflict
    lines = [f"{line}\n" for line in text.removesuffix("\n").split("\n")] if text else []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = ast.parse(source)
    return list(_spans(tree.body, lines, 0, len(lines)))


def _spans(body: Sequence[ast.stmt], lines: Sequence[str], start: int, stop: int) -> Iterator[Span]:
    """The spans of the lines from `start` to `stop`; the last one is what follows the statements."""
    seen = Counter[tuple[str, str]]()
    for group in _by_line(body):
        end = group[-1].end_lineno or stop
        kinds, names = zip(*map(_named, group), strict=True)
        named = "; ".join(kinds), "; ".join(names)
        binds = {name: what for node in group for name, what in _bound(node)}
        inner = _inside(group[0], lines, start) if len(group) == 1 else None
        yield Span((*named, seen[named]), "".join(lines[start:end]), binds, inner)
        seen[named] += 1
        start = end
    yield Span(("end", "", 0), "".join(lines[start:stop]))


def _by_line(body: Sequence[ast.stmt]) -> list[list[ast.stmt]]:
    """Statements; those that share a line are in one group."""
    groups: list[list[ast.stmt]] = []
    for node in body:
        if groups and node.lineno <= (groups[-1][-1].end_lineno or 0):
            groups[-1].append(node)
        else:
            groups.append([node])
    return groups


def _inside(node: ast.stmt, lines: Sequence[str], start: int) -> tuple[str, list[Span]] | None:
    if not isinstance(node, ast.ClassDef):
        return None
    first, end = node.body[0], node.end_lineno or 0
    decorators = first.decorator_list if isinstance(first, _DEFINED) else []
    at = min(first.lineno, *(one.lineno for one in decorators), end) - 1
    return "".join(lines[start:at]), list(_spans(node.body, lines, at, end))


def _named(node: ast.stmt) -> tuple[str, str]:
    """Kind and name of a statement: two sources have the same thing where both are equal."""
    if isinstance(node, _DEFINED):
        return "definition", node.name
    if isinstance(node, ast.Import | ast.ImportFrom):
        return "import", ast.dump(node)
    if isinstance(node, ast.Assign):
        return "assignment", ", ".join(map(ast.dump, node.targets))
    if isinstance(node, ast.AnnAssign | ast.AugAssign):
        return "assignment", ast.dump(node.target)
    return type(node).__name__, ""


def _bound(node: ast.stmt) -> Iterator[tuple[str, str]]:
    """Names that a statement binds in its own scope, and to what."""
    if isinstance(node, _DEFINED):
        yield node.name, "definition"
    elif isinstance(node, ast.Import | ast.ImportFrom):
        module = f"{'.' * node.level}{node.module or ''}:" if isinstance(node, ast.ImportFrom) else ""
        for alias in node.names:
            plain = isinstance(node, ast.Import) and alias.asname is None
            name = alias.name.partition(".")[0] if plain else alias.name
            yield alias.asname or name, f"{module}{name}"
    elif isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
        stored = (one.id for one in ast.walk(node) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store))
        yield from ((name, _named(node)[1]) for name in stored)


# ------------------------------------------------------------------------------------ merging


def _aligned(base: Sequence[Span], side: Sequence[Span]) -> list[Span]:
    """The spans of a side with the numbers of the base: those of one kind and name are told apart by what they say."""
    old, new = _alike(base), _alike(side)
    numbers = {what: _numbers(list(map(_bare, old.get(what, []))), list(map(_bare, new[what]))) for what in new}
    return [replace(span, key=(*span.key[:2], next(numbers[span.key[:2]]))) for span in side]


def _alike(spans: Sequence[Span]) -> dict[tuple[str, str], list[Span]]:
    found: dict[tuple[str, str], list[Span]] = {}
    for span in spans:
        found.setdefault(span.key[:2], []).append(span)
    return found


def _bare(span: Span) -> str:
    return _BEFORE.sub("", span.text, count=1)


def _numbers(old: Sequence[str], new: Sequence[str]) -> Iterator[int]:
    """For each new text the number of the old one that it is or replaces; what was added is counted on from there."""
    added = count(len(old))
    for _, start, stop, first, last in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        yield from islice(chain(range(start, stop), added), last - first)


def _merged(base: Sequence[Span], ours: Sequence[Span], theirs: Sequence[Span]) -> list[Span]:
    """The spans of a merge, in our order; what they added comes after what it followed. Raises Conflict."""
    ours, theirs = _aligned(base, ours), _aligned(base, theirs)
    _check_places(base, ours, theirs)
    old, mine, its = ({span.key: span for span in some} for some in (base, ours, theirs))
    if [key for key in its if key in old] != [key for key in old if key in its]:
        raise Conflict  # they moved something
    if any(key in its and its[key].text != span.text for key, span in old.items() if key not in mine):
        raise Conflict  # we removed what they changed
    _check_names(old, ours, theirs)
    kept = [found for span in ours if (found := _chosen(old.get(span.key), span, its.get(span.key))) is not None]
    return _with_added(kept, theirs, old, mine)


def _chosen(old: Span | None, ours: Span, theirs: Span | None) -> Span | None:
    """What becomes of one of our spans; None where they removed it. Raises Conflict."""
    if theirs is None:
        if old is not None and old.text != ours.text:
            raise Conflict
        return ours if old is None else None
    if ours.text == theirs.text or (old is not None and theirs.text == old.text):
        return ours
    if old is not None and ours.text == old.text:
        return theirs
    if old is None or old.inner is None or ours.inner is None or theirs.inner is None:
        raise Conflict
    headers = [Span(ours.key, inner[0]) for inner in (old.inner, ours.inner, theirs.inner)]
    header = _chosen(*headers)
    body = _merged(old.inner[1], ours.inner[1], theirs.inner[1])
    return Span(ours.key, "".join(span.text for span in (header, *body) if span is not None), ours.binds)


def _with_added(
    kept: Sequence[Span], theirs: Sequence[Span], old: Mapping[Key, Span], mine: Mapping[Key, Span]
) -> list[Span]:
    """Spans with those that they alone added: each after the nearest one before it that is there, and after our own."""
    here, before = {span.key for span in kept}, None
    added: dict[Key | None, list[Span]] = {}
    for span in theirs:
        if span.key not in old and span.key not in mine:
            added.setdefault(before, []).append(span)
        elif span.key in here:
            before = span.key
    woven, waiting = list[Span](), added.pop(None, [])
    for span in kept:
        if span.key in old:
            woven += waiting
            waiting = []
        woven.append(span)
        waiting += added.pop(span.key, [])
    return [*woven, *waiting]


def _check_places(base: Sequence[Span], ours: Sequence[Span], theirs: Sequence[Span]) -> None:
    """Raise Conflict where both changed what has one kind and name, and the same statement now stands in two places."""
    sides = [_alike(side) for side in (base, ours, theirs)]
    for what in sides[0].keys() | sides[1].keys() | sides[2].keys():
        old, mine, its = (side.get(what, []) for side in sides)
        places = {(_bare(span), span.key) for span in chain(old, mine, its)}
        moved = len(places) > len({text for text, _ in places})
        if moved and old not in (mine, its) and mine != its:
            raise Conflict


def _check_names(old: Mapping[Key, Span], ours: Sequence[Span], theirs: Sequence[Span]) -> None:
    """Raise Conflict where both sides now bind one name, and not to the same thing."""
    mine, its = (
        {name: what for span in side if span != old.get(span.key) for name, what in span.binds.items()}
        for side in (ours, theirs)
    )
    if any(its.get(name, what) != what for name, what in mine.items()):
        raise Conflict


# ------------------------------------------------------------------------------------ as a program


def answer(sources: Sequence[bytes]) -> str:
    """The merge of three sources, base, ours and theirs, as JSON; null for a conflict."""
    woven = weave(*sources)
    return json.dumps(None if woven is None else woven.decode())
