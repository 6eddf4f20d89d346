"""Runs the handed-in tests in processes of their own, over good and broken libraries."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ENV = {"PATH": "/usr/bin:/bin:/usr/local/bin", "HOME": "/tmp", "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
SOURCE = Path("ranges/core.py").read_text()
# A second implementation that keeps the specification, by sweeping over the ends of ranges.
PLAIN = '''
def join(points, inside):
    spans = []
    for low, high in zip(points, points[1:]):
        if inside(low):
            if spans and spans[-1][1] == low:
                spans[-1] = (spans[-1][0], high)
            else:
                spans.append((low, high))
    return spans


class Ranges:
    __slots__ = ("spans",)

    def __init__(self, pairs=()):
        pairs = list(pairs)
        if any(low > high for low, high in pairs):
            raise ValueError("a range goes backwards")
        points = sorted({end for pair in pairs for end in pair})
        self.spans = join(points, lambda n: any(low <= n < high for low, high in pairs))

    def _with(self, other, rule):
        points = sorted({end for pair in self.spans + other.spans for end in pair})
        made = Ranges()
        made.spans = join(points, lambda n: rule(n in self, n in other))
        return made

    def __iter__(self):
        for low, high in self.spans:
            yield low, high

    def __len__(self):
        total = 0
        for low, high in self.spans:
            total += high - low
        return total

    def __bool__(self):
        return self.spans != []

    def __contains__(self, n):
        return any(low <= n < high for low, high in self.spans)

    def __eq__(self, other):
        return type(other) is Ranges and other.spans == self.spans

    def __hash__(self):
        return hash(("ranges", *self.spans))

    def __or__(self, other):
        return self._with(other, lambda a, b: a or b)

    def __and__(self, other):
        return self._with(other, lambda a, b: a and b)

    def __sub__(self, other):
        return self._with(other, lambda a, b: a and not b)

    def gaps(self):
        if not self.spans:
            return Ranges()
        return Ranges([(self.spans[0][0], self.spans[-1][1])]) - self

    @classmethod
    def parse(cls, text):
        pairs = []
        for part in text.split(",") if text.strip() else []:
            ends = [end.strip() for end in part.split("-")]
            if len(ends) > 2 or not all(end.isascii() and end.isdigit() for end in ends):
                raise ValueError("cannot be read")
            low, high = int(ends[0]), int(ends[-1])
            if low > high:
                raise ValueError("a range goes backwards")
            pairs.append((low, high + 1))
        return cls(pairs)

    def __str__(self):
        parts = []
        for low, high in self.spans:
            if low < 0:
                raise ValueError("below zero")
            parts.append(f"{low}" if low + 1 == high else f"{low}-{high - 1}")
        return ",".join(parts)

    def first(self, n):
        if n < 0:
            raise ValueError("below zero")
        found = []
        for low, high in self.spans:
            while low < high and len(found) < n:
                found.append(low)
                low += 1
        return found
'''
RENAMED = SOURCE.replace("_pairs", "_spans").replace('raise ValueError(f"{low} > {high}")', 'raise ValueError("backwards")')
BROKEN = {
    "touching ranges are not joined": ("low <= merged[-1][1]", "low < merged[-1][1]"),
    "an inner range cuts the outer": ("max(merged[-1][1], high))", "high)"),
    "pairs are not sorted": ("in sorted(pairs)", "in pairs"),
    "empty pairs are kept": ("            if low == high:\n                continue\n", ""),
    "backward pairs are ignored": ("raise ValueError(f\"{low} > {high}\")", "continue"),
    "len counts ranges": ("sum(high - low for low, high in self._pairs)", "len(self._pairs)"),
    "the end is a member": ("<= number < self._pairs[place][1]", "<= number <= self._pairs[place][1]"),
    "the beginning is no member": ("self._pairs[place][0] <= number", "self._pairs[place][0] < number"),
    "negative numbers are no members": ("return place >= 0 and", "return place >= 0 and number >= 0 and"),
    "equal by length": ("self._pairs == other._pairs if", "len(self) == len(other) if"),
    "equal to lists": ("if isinstance(other, Ranges) else NotImplemented", "if isinstance(other, Ranges) else list(self) == other"),
    "comparing with others raises": ("if isinstance(other, Ranges) else NotImplemented", ""),
    "hash by identity": ("return hash(self._pairs)", "return id(self)"),
    "union gives the left one": ("[*self._pairs, *other._pairs]", "self._pairs or other._pairs"),
    "intersection loses single numbers": ("if max(a, c) < min(b, d):", "if max(a, c) + 1 < min(b, d):"),
    "difference keeps too little on the left": ("cut.append((a, min(b, c)))", "cut.append((a, max(a, min(b, c) - 1)))"),
    "difference loses the right": ("if max(a, d) < b:", "if a < d < b:"),
    "union changes the left": ("return Ranges([*self._pairs, *other._pairs])", "self._pairs = Ranges([*self._pairs, *other._pairs])._pairs; return Ranges(self._pairs)"),
    "gaps are one too short": ("(a[1], b[0]) for", "(a[1], b[0] - 1) for"),
    "gaps as a list": ("return Ranges([(a[1], b[0]) for a, b in zip(self._pairs, self._pairs[1:])])", "return [(a[1], b[0]) for a, b in zip(self._pairs, self._pairs[1:])]"),
    "parse excludes the end": ("pairs.append((low, high + 1))", "pairs.append((low, max(high, low + 1)))"),
    "parse allows backwards": ("if high < low:\n                raise", "if high < low:\n                continue\n                raise"),
    "parse takes junk at the end": ("re.fullmatch(", "re.match("),
    "parse refuses spaces": (r"\s*([0-9]+)\s*(?:-\s*([0-9]+)\s*)?", r"([0-9]+)(?:-([0-9]+))?"),
    "parse refuses nothing": ("if not text.strip():\n            return cls()", "if not text.strip():\n            raise ValueError(text)"),
    "parse skips empty parts": ("for part in text.split(\",\"):", "for part in filter(None, text.split(\",\")):"),
    "str excludes the end": ("f\"{a}-{b - 1}\"", "f\"{a}-{b}\""),
    "str of one number": ("str(a) if b - a == 1 else ", ""),
    "str of two numbers": ("str(a) if b - a == 1", "str(a) if b - a <= 2"),
    "str writes negatives": ("self._pairs[0][0] < 0", "self._pairs[-1][1] < 0"),
    "first of the first range only": ("found += range(low, min(high, low + n - len(found)))", "found = found or list(range(low, min(high, low + n)))"),
    "first gives one more": ("low + n - len(found)", "low + n - len(found) + (len(found) > 0)"),
    "first allows negatives": ("if n < 0:\n            raise ValueError(n)\n        found", "found"),
    "false means no zero": ("return bool(self._pairs)", "return bool(self._pairs) and self._pairs != ((0, 1),)"),
}


def outcome(source, twist=None):
    """Exit code of the handed-in tests over a library: 0 all passed, 1 some failed, else they could not be run."""
    if twist:
        assert source.count(twist[0]) == 1, twist
        source = source.replace(*twist)
    top = Path(tempfile.mkdtemp(dir="/tmp"))
    shutil.copytree("tests", top / "tests")
    (top / "ranges").mkdir()
    (top / "ranges" / "__init__.py").write_text("from ranges.core import Ranges\n")
    (top / "ranges" / "core.py").write_text(source)
    argv = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--rootdir", str(top), "tests"]
    try:
        return subprocess.run(argv, cwd=top, env={**ENV, "PYTHONPATH": str(top)}, capture_output=True, timeout=60).returncode
    finally:
        shutil.rmtree(top)


def test_there_are_tests():
    assert [p for p in Path("tests").rglob("test_*.py") if "def test" in p.read_text()]
    assert not os.path.exists("tests/ranges")


def test_the_library_passes():
    assert outcome(SOURCE) == 0


def test_other_good_libraries_pass():
    assert outcome(RENAMED) == 0
    assert outcome(PLAIN) == 0


def _breaks(name):
    def test():
        assert outcome(SOURCE, BROKEN[name]) == 1, name

    return test


for _name in BROKEN:
    globals()["test_" + _name.replace(" ", "_")] = _breaks(_name)
