"""Merging Python by its definitions: what one side changed is taken, what both changed is a conflict."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.kernel.decide.weaving import weave

BASE = b'''"""A module."""

import json  # answers

LIMIT = 3


# How it asks.
def ask(question):
    # first
    return question


class Agent:
    """It acts."""

    name = "a"

    def act(self):
        return 1  # one

    @property
    def done(self):
        return False


if __name__ == "__main__":
    ask("x")
# the end
'''


def edited(*changes: tuple[bytes, bytes], source: bytes = BASE) -> bytes:
    for before, after in changes:
        assert source.count(before) == 1, before
        source = source.replace(before, after)
    return source


def test_definitions_that_one_side_changed_are_taken_from_it() -> None:
    """Neighbouring lines, which a merge by lines takes for a conflict."""
    ours = edited((b"LIMIT = 3\n", b"LIMIT = 9  # more\n"), (b"    return question\n", b"    return question * 2\n"))
    theirs = edited((b"import json  # answers\n", b"import json  # answers\nimport re\n"), (b"# the end", b"# over"))
    woven = weave(BASE, ours, theirs)
    assert woven == edited(
        (b"LIMIT = 3\n", b"LIMIT = 9  # more\n"),
        (b"    return question\n", b"    return question * 2\n"),
        (b"import json  # answers\n", b"import json  # answers\nimport re\n"),
        (b"# the end", b"# over"),
    )


def test_both_may_add_at_one_place() -> None:
    after = b'    ask("x")\n'
    ours = edited((after, after + b"\n\ndef mine():\n    return 1\n"))
    theirs = edited((after, after + b"\n\n# Theirs.\ndef its():\n    return 2\n"))
    woven = weave(BASE, ours, theirs)
    assert woven == edited(
        (after, after + b"\n\ndef mine():\n    return 1\n\n\n# Theirs.\ndef its():\n    return 2\n"),
    )


def test_methods_of_one_class_are_merged_one_by_one() -> None:
    ours = edited((b"return 1  # one", b"return 11  # one"), (b'name = "a"\n', b'name = "a"\n    size = 2\n'))
    theirs = edited((b"return False", b"return True"), (b'name = "a"\n', b'name = "a"\n    colour = 3\n'))
    woven = weave(BASE, ours, theirs)
    assert woven is not None
    for part in (b"return 11  # one", b"return True", b"    size = 2\n    colour = 3\n", b"    @property\n"):
        assert part in woven


def test_what_one_side_removed_is_gone_if_the_other_left_it() -> None:
    gone = b"\n\n# How it asks.\ndef ask(question):\n    # first\n    return question\n"
    ours, theirs = edited((gone, b"")), edited((b"return False", b"return True"))
    assert (
        weave(BASE, ours, theirs) == weave(BASE, theirs, ours) == edited((gone, b""), (b"return False", b"return True"))
    )
    assert weave(BASE, ours, edited((b"# first", b"# second"))) is None
    assert weave(BASE, edited((b"# first", b"# second")), ours) is None


CONFLICTS = {
    "one function": (edited((b"# first", b"# mine")), edited((b"return question", b"return 0"))),
    "one constant": (edited((b"LIMIT = 3", b"LIMIT = 4")), edited((b"LIMIT = 3", b"LIMIT = 5"))),
    "one method": (edited((b"return 1 ", b"return 2 ")), edited((b"return 1 ", b"return 3 "))),
    "a class's bases": (edited((b"class Agent:", b"class Agent(A):")), edited((b"class Agent:", b"class Agent(B):"))),
    "a statement without a name": (edited((b'ask("x")', b'ask("y")')), edited((b'ask("x")', b'ask("z")'))),
    "one new name": (
        edited((b"# the end\n", b"def new():\n    return 1\n")),
        edited((b"# the end\n", b"new = 2\n")),
    ),
    "one new function": (
        edited((b"# the end\n", b"def new():\n    return 1\n")),
        edited((b"# the end\n", b"def new():\n    return 2\n")),
    ),
    "imports under one name": (
        edited((b"import json  # answers", b"import ujson as json")),
        edited((b"import json  # answers", b"import orjson as json")),
    ),
    "they moved something": (
        edited((b"# first", b"# mine")),
        edited((b"LIMIT = 3\n", b""), (b"# the end\n", b"LIMIT = 3\n# the end\n"), (b"import json", b"import  json")),
    ),
    "carriage returns": (edited((b"LIMIT = 3", b"LIMIT = 4")), edited((b"# the end", b"# x\r\n"))),
    "no Python": (edited((b"LIMIT = 3", b"LIMIT = 4")), edited((b"# the end", b"("))),
    "no text": (edited((b"LIMIT = 3", b"LIMIT = 4")), edited((b"# the end", b"# \xff"))),
}


@pytest.mark.parametrize("what", CONFLICTS)
def test_what_both_changed_stays_a_conflict(what: str) -> None:
    ours, theirs = CONFLICTS[what]
    assert weave(BASE, ours, theirs) is None
    assert weave(BASE, theirs, ours) is None


def test_both_may_import_more_from_one_module() -> None:
    base = b"from m import a\n\nx = a\n"
    ours, theirs = base.replace(b"import a", b"import a, b"), base.replace(b"import a", b"import a, c")
    assert weave(base, ours, theirs) == b"from m import a, b\nfrom m import a, c\n\nx = a\n"


def test_a_file_without_a_last_line_break_is_merged_too() -> None:
    assert weave(b"a = 1\nb = 2", b"a = 9\nb = 2", b"a = 1\nb = 2\nc = 3") == b"a = 9\nb = 2\nc = 3\n"


def unnamed(words: str) -> bytes:
    """A module: `r1` is a call, `if1` an If, `f` a function; `-` is a blank line and a comment before the next one."""
    kinds = {"r": 'register("{}")\n', "if": "if {}:\n    act()\n", "f": "def f{}():\n    pass\n", "-": "\n# why\n"}
    parts = (re.fullmatch(r"(\D+)(\d*)", word) for word in words.split())
    return "".join(kinds[part[1]].format(part[2] and f"n{part[2]}") for part in parts if part).encode()


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "merged"),
    [
        ("r1 r2 r3", "r1 r3", "r2 r3", "r3"),
        ("r1 r2", "r2", "r1", ""),
        ("if0 if1 if2 if3", "if1 if2 if3", "if0 if1 if3", "if1 if3"),
        ("r0 r1 r2", "r0 r1", "r3 r2", "r3"),
        ("r1 r2 r3", "r2 r3", "r1 f1 r2 r3", "f1 r2 r3"),
        ("r1 r2 r3", "r1 f1 r2 r3", "r2 r3", "f1 r2 r3"),
        ("if0 f if1", "if9 if0 f if1", "if0 f if1 f1", "if9 if0 f if1 f1"),
        ("r0 r1 r2", "r4 r1 r2", "r0 r1 r2 r5", "r4 r1 r2 r5"),
        ("r1 r2 r3", "r1 r3", "r2 r1 r3", None),
        ("r1 r2 r3", "r4 r2 r3", "r1 r2 r4", None),
        ("r1 r1 r2", "r1 r2", "r1 r1", None),
        ("r1 r2", "r1 r2 r3", "r1 r2 r4", None),
        ("- r1 r2 r3", "- r1 r3", "- r2 r3", None),
    ],
)
def test_statements_without_a_name_are_told_apart_by_what_they_say(
    base: str, ours: str, theirs: str, merged: str | None
) -> None:
    woven = weave(*map(unnamed, (base, ours, theirs)))
    assert woven == (None if merged is None else unnamed(merged))


# ------------------------------------------------------------------------------------ properties


@dataclass(frozen=True)
class Part:
    """A definition of a made-up module, with its comment."""

    name: str
    kind: str
    body: int
    comment: str

    def text(self) -> str:
        lines = {
            "function": f"def {self.name}():\n    # inside\n    return {self.body}\n",
            "constant": f"{self.name} = {self.body}  # beside\n",
            "class": f"class {self.name}:\n    x = {self.body}\n\n    def m(self):\n        return self.x\n",
            "import": f"import m{self.body} as {self.name}\n",
        }
        return f"{self.comment}{lines[self.kind]}"


def module(parts: list[Part]) -> bytes:
    return "".join(part.text() for part in parts).encode()


PARTS = st.lists(
    st.builds(
        Part,
        name=st.sampled_from([f"n{n}" for n in range(12)]),
        kind=st.sampled_from(["function", "constant", "class", "import"]),
        body=st.integers(0, 9),
        comment=st.sampled_from(["", "\n\n", "# why\n", "\n# why: é\n"]),
    ),
    unique_by=lambda part: part.name,
    min_size=1,
    max_size=8,
)


@given(PARTS, st.data())
def test_disjoint_changes_of_definitions_merge_to_a_module_that_holds_both(
    parts: list[Part], data: st.DataObject
) -> None:
    sides = data.draw(st.lists(st.sampled_from(["none", "ours", "theirs"]), min_size=len(parts), max_size=len(parts)))

    def side(name: str) -> list[Part]:
        changed = [
            Part(p.name, p.kind, p.body + 100, p.comment) if s == name else p for p, s in zip(parts, sides, strict=True)
        ]
        at = data.draw(st.integers(0, len(changed)))
        return [*changed[:at], Part(f"new_{name}", "function", 7, "\n"), *changed[at:]]

    ours, theirs = side("ours"), side("theirs")
    woven = weave(module(parts), module(ours), module(theirs))
    assert woven is not None
    ast.parse(woven)
    due = {part.text() for part in (*ours, *theirs)}
    due -= {p.text() for p, s in zip(parts, sides, strict=True) if s != "none"}
    assert all(text.encode() in woven for text in due)
    assert len(woven) == sum(len(text.encode()) for text in due)


@given(PARTS, PARTS)
def test_a_change_of_one_side_alone_is_taken_as_it_is(changed: list[Part], parts: list[Part]) -> None:
    base, one = module(parts), module(changed)
    assert weave(base, one, base) == weave(base, base, one) == weave(base, one, one) == one


@given(PARTS, PARTS, PARTS)
def test_a_merge_parses_and_invents_nothing(parts: list[Part], ours: list[Part], theirs: list[Part]) -> None:
    woven = weave(*map(module, (parts, ours, theirs)))
    if woven is not None:
        ast.parse(woven)
        lines = {line for side in (parts, ours, theirs) for line in module(side).splitlines()}
        assert set(woven.splitlines()) <= lines


WORDS = st.sampled_from([f"{kind}{n}" for kind in ("r", "if") for n in range(5)])
CALLS, MINE, ITS = (st.sampled_from([f"r{n}" for n in some]) for some in (range(6), range(6, 9), range(9, 12)))


@st.composite
def sides(draw: st.DrawFn, *, moves: bool) -> tuple[list[str], list[str], list[str]]:
    """Base, ours and theirs: each side removes, changes and adds statements; if it moves some, of two kinds."""
    base = draw(st.lists(WORDS if moves else CALLS, unique=True, max_size=6))

    def side(new: st.SearchStrategy[str]) -> list[str]:
        made = [word for old in base for word in draw(st.sampled_from([[old]] * 4 + [[], ["new"], [old, "new"]]))]
        made = list(dict.fromkeys(draw(new) if word == "new" else word for word in made))
        if moves and made and draw(st.booleans()):
            made.insert(draw(st.integers(0, len(made) - 1)), made.pop(draw(st.integers(0, len(made) - 1))))
        return made

    return base, side(WORDS if moves else MINE), side(WORDS if moves else ITS)


def text(words: Sequence[str]) -> bytes:
    """A module, with a function and a comment in the midst if one of the words is there."""
    return unnamed(" ".join(f"f - {word}" if word == "r0" else word for word in words))


@given(sides(moves=True))
def test_a_statement_without_a_name_stays_just_if_neither_side_removed_it(
    three: tuple[list[str], list[str], list[str]],
) -> None:
    base, ours, theirs = three
    woven = weave(*map(text, three))
    kept = {word for word in {*base, *ours, *theirs} if (word in ours) + (word in theirs) > (word in base)}
    if woven is not None:
        assert sorted(woven.splitlines()) == sorted(text(sorted(kept)).splitlines())


@given(sides(moves=False))
def test_calls_keep_the_order_of_both_sides(
    three: tuple[list[str], list[str], list[str]],
) -> None:
    woven = weave(*map(text, three))
    if woven is not None:
        for side in three[1:]:
            lines = [line for line in text(side).splitlines() if b"n" in line and b"f" not in line[:1]]
            both = [line for line in woven.splitlines() if line in lines]
            assert both == [line for line in lines if line in both]


@given(st.binary(max_size=40), st.text(max_size=40), st.text(alphabet="x=1;:(\n\\#@ \t\"'", max_size=40))
def test_any_bytes_get_an_answer(base: bytes, ours: str, theirs: str) -> None:
    answer = weave(base, ours.encode("utf-8", "surrogatepass"), theirs.encode())
    assert answer is None or isinstance(answer, bytes)
