"""The list of packages in CONTRIBUTING.md against the tree."""

from __future__ import annotations

import re
import subprocess

from agent.base.trust import DEFAULT_MUTABLE, inside
from tests.structure.trees import ROOT

HOUSE = re.search(r"```\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.DOTALL)[1]
ROW = re.compile(r"^(\S+) +(TRUSTED|MUTABLE)? *(.+?)(?=^\S|\Z)", re.DOTALL | re.MULTILINE)
ROOMS = {row[1].rstrip("/"): row for row in ROW.finditer(HOUSE)}


def tracked() -> set[str]:
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_every_room_of_the_list_is_in_the_tree_and_every_room_of_the_tree_in_the_list() -> None:
    top = {file.split("/")[0] for file in tracked() if "/" in file and not file.startswith((".", "requirements/"))}
    inner = {"/".join(file.split("/")[:2]) for file in tracked() if file.startswith("agent/") and file.count("/") > 1}
    assert set(ROOMS) == top - {"agent"} | inner


def test_every_package_within_a_room_is_named_there() -> None:
    for room, row in ROOMS.items():
        if row[2] == "TRUSTED" and room.startswith("agent/"):
            packages = {path.parent.name for path in (ROOT / room).glob("*/__init__.py")}
            assert packages == set(re.findall(r"(\w+)/", row[3])), room


def test_the_trust_marks_are_those_of_the_rule() -> None:
    for room, row in ROOMS.items():
        if room.startswith("agent/") or row[2]:
            assert row[2] == ("MUTABLE" if inside(room, DEFAULT_MUTABLE) else "TRUSTED"), room
    assert {room for room, row in ROOMS.items() if row[2] == "MUTABLE"} == set(DEFAULT_MUTABLE)
