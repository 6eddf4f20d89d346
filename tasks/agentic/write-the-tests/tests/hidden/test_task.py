"""Runs the handed-in tests in processes of their own, over good and broken libraries."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ENV = {"PATH": "/usr/bin:/bin:/usr/local/bin", "HOME": "/tmp", "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
SOURCE = Path("ranges/core.py").read_text()
# A second implementation that keeps the specification, on plain sets.
PLAIN = '''
class Ranges:
    def __init__(self, pairs=()):
        found = set()
        for a, b in pairs:
            if b < a: raise ValueError("no")
            found.update(Long(a, b) if b - a > 10**6 else range(a, b))
        self.numbers = frozenset(found)
    def __iter__(self):
        run = None
        for n in sorted(self.numbers):
            if run and n == run[1]: run = (run[0], n + 1)
            else:
                if run: yield run
                run = (n, n + 1)
        if run: yield run
    def __len__(self): return len(self.numbers)
    def __bool__(self): return len(self.numbers) > 0
    def __contains__(self, n): return n in self.numbers
    def __eq__(self, other):
        if type(other) is not Ranges: return False
        return self.numbers == other.numbers
    def __hash__(self): return hash(self.numbers)
    @classmethod
    def of(cls, numbers):
        made = cls.__new__(cls); made.numbers = frozenset(numbers); return made
    def __or__(self, other): return self.of(self.numbers | other.numbers)
    def __and__(self, other): return self.of(self.numbers & other.numbers)
    def __sub__(self, other): return self.of(self.numbers - other.numbers)
    def gaps(self):
        return self.of(n for n in range(min(self.numbers), max(self.numbers)) if n not in self.numbers) if self.numbers else self.of(())
    @classmethod
    def parse(cls, text):
        pairs = []
        for part in text.split(",") if text.strip() else []:
            ends = [end.strip(" ") for end in part.split("-")]
            if len(ends) > 2 or not all(end.isascii() and end.isdigit() for end in ends): raise ValueError("cannot read")
            pairs.append((int(ends[0]), int(ends[-1]) + 1))
            if pairs[-1][0] >= pairs[-1][1]: raise ValueError("backwards")
        return cls(pairs)
    def __str__(self):
        if any(n < 0 for n in self.numbers): raise ValueError("below zero")
        return ",".join(f"{a}-{b - 1}" if b > a + 1 else f"{a}" for a, b in self)
    def first(self, n):
        if n < 0: raise ValueError("n")
        return sorted(self.numbers)[:n]
'''.replace("Long(a, b) if b - a > 10**6 else range(a, b)", "range(a, min(b, a + 10**6))")
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
        return subprocess.run(argv, cwd=top, env={**ENV, "PYTHONPATH": str(top)}, capture_output=True, timeout=25).returncode
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
