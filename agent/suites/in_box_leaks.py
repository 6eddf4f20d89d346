"""Runs in a box as a task begins, without a candidate: looks for files of the reference solution. Prints a JSON list.

python3 -I probe.py FOLDER

FOLDER/order.json names what to look for. Git repositories are read by their own format, so the image needs no git, and
an object that no commit reaches is found as well.
"""

# Pathlib is too slow for every file of an image:
# ruff: noqa: PTH110, PTH112, PTH113, PTH114, PTH118, PTH119, PTH120, PTH202, PTH208

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

SKIPPED = ("/proc", "/sys", "/dev", "/run")
MAX_FOUND = 20
MAX_FILE = 64 << 20
FANOUT, ID_BYTES = 256, 20


class Wanted(NamedTuple):
    """Path of a file, git's id of it or the beginning of that, and its size if it is known."""

    path: str
    start: str
    size: int | None = None


def main(home: str) -> list[str]:
    """Where the solution is."""
    order = json.loads(Path(home, "order.json").read_text(encoding="utf-8"))
    wanted = [Wanted(*one) for one in order["wanted"]]
    for patch in order["patches"]:
        wanted += patched(str(Path(home, patch)))
    names = {os.path.basename(one.path) for one in wanted}
    sizes = {one.size for one in wanted if one.size}
    found = []
    for folder, inner, files in os.walk("/"):
        if folder in SKIPPED or folder == home:
            inner[:] = []
            continue
        if os.path.basename(folder) == "objects" and os.path.exists(os.path.join(folder, "..", "HEAD")):
            found += in_objects(folder, wanted)
            inner[:] = []
            continue
        for name in files:
            path = os.path.join(folder, name)
            if (name in names or size_of(path) in sizes) and (hit := holds(path, wanted)):
                found.append(hit)
        if len(found) >= MAX_FOUND:
            break
    return found[:MAX_FOUND]


def patched(patch: str) -> list[Wanted]:
    """The files that a patch makes of those in the workspace, by applying it and taking it back."""
    text = Path(patch).read_text(encoding="utf-8", errors="replace")
    paths = [line[6:].split("\t")[0] for line in text.splitlines() if line.startswith("+++ b/")]
    if subprocess.run(["git", "apply", "--whitespace=nowarn", patch], check=False).returncode:
        return []
    made = [Wanted(path, blob(Path(path).read_bytes())) for path in paths if Path(path).is_file()]
    subprocess.run(["git", "apply", "-R", "--whitespace=nowarn", patch], check=True)
    return made


def in_objects(folder: str, wanted: list[Wanted]) -> list[str]:
    """Objects of a repository that are files of the solution."""
    found = []
    for known in ids(folder):
        for path, start, _ in wanted:
            if known.startswith(start):
                found.append(f"{path} is the git object {known[:12]} in {os.path.dirname(folder)}")
    return found


def ids(folder: str) -> list[str]:
    """Every object's id: loose ones by their names, packed ones by the indexes of the packs."""
    found = []
    for name in os.listdir(folder):
        whole = os.path.join(folder, name)
        if len(name) == len("ff") and os.path.isdir(whole):
            found += [name + rest for rest in os.listdir(whole)]
    packs = os.path.join(folder, "pack")
    for name in os.listdir(packs) if os.path.isdir(packs) else []:
        if name.endswith(".idx"):
            found += packed(Path(packs, name).read_bytes())
    return found


def packed(index: bytes) -> list[str]:
    """The ids in an index of version 2; those in one of version 1 stand behind an offset each."""
    if index[:4] == b"\xfftOc":
        start, step, skip = 8 + 4 * FANOUT, ID_BYTES, 0
        count = int.from_bytes(index[start - 4 : start], "big")
    else:
        start, step, skip = 4 * FANOUT, ID_BYTES + 4, 4
        count = int.from_bytes(index[start - 4 : start], "big")
    places = range(start + skip, start + skip + step * count, step)
    return [index[at : at + ID_BYTES].hex() for at in places]


def holds(path: str, wanted: list[Wanted]) -> str | None:
    """What to say about a file that is one of the solution's."""
    try:
        if os.path.islink(path) or not os.path.isfile(path) or os.path.getsize(path) > MAX_FILE:
            return None
        known = blob(Path(path).read_bytes())
    except OSError:
        return None
    hit = next((name for name, start, _ in wanted if known.startswith(start)), None)
    return f"{hit} is the file {path}" if hit else None


def size_of(path: str) -> int:
    """Bytes of a plain file, or 0."""
    try:
        return 0 if os.path.islink(path) else os.path.getsize(path)
    except OSError:
        return 0


def blob(body: bytes) -> str:
    """Git's id of a file."""
    return hashlib.sha1(b"blob %d\0%s" % (len(body), body), usedforsecurity=False).hexdigest()


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(sys.argv[1])) + "\n")
