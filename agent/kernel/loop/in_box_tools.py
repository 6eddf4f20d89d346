"""Runs in a proposal's box as `ratchet-try` and `ratchet-check`: sends the workspace to the kernel, prints its answer.

Never imported on the host. Standard library of Python 3.9 or later only.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import os
import sys
import urllib.error
import urllib.request
from fnmatch import fnmatchcase
from pathlib import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

WORKSPACE = Path(os.environ.get("RATCHET_WORKSPACE", "/workspace"))
TASK = Path(os.environ.get("RATCHET_TASK_DIR", "/task"))
GATEWAY = os.environ.get("ANTHROPIC_BASE_URL", "http://127.0.0.1:8080").rstrip("/")
TRANSCRIPTS = Path(os.environ.get("TMPDIR", "/tmp")) / "ratchet-try"  # noqa: S108 - a box of its own
SHOWN = 3000  # characters of a transcript that are printed; all of it is in a file
NOTES = ("PATCH.md", "LESSONS.md")


def main() -> int:
    """Ask the kernel; 1 if it refuses, or if the patch would be refused."""
    trying = Path(sys.argv[0]).name != "ratchet-check"
    parser = argparse.ArgumentParser(description=__doc__)
    if trying:
        parser.add_argument("--task", required=True, help="a search task: `/task/context/tasks/` lists them")
    asked = vars(parser.parse_args())
    try:
        answer = ask("try" if trying else "check", {**asked, **workspace()})
    except urllib.error.HTTPError as error:
        said = json.load(error)
        sys.stdout.write(f"refused: {said['error']['message']}\n")
        return 1
    return show_trial(answer) if trying else show_check(answer)


def workspace() -> dict[str, Any]:
    """What differs from the parent in the mutable paths, and the two notes."""
    known = json.loads((TASK / "context" / "tools.json").read_text(encoding="utf-8"))
    given, files, odd = known["files"], {}, []
    for path in sorted(found(known["mutable"], known["without"])):
        name = path.relative_to(WORKSPACE).as_posix()
        if name not in given and (name in NOTES or path.name == NOTES[0]):
            continue
        if path.is_symlink() or not path.is_file():
            odd.append(name)
        elif hashlib.sha256(data := path.read_bytes()).hexdigest() != given.pop(name, None):
            files[name] = base64.b64encode(data).decode()
    notes = {name: (WORKSPACE / name).read_bytes() for name in NOTES if (WORKSPACE / name).is_file()}
    executable = [name for name in files if (WORKSPACE / name).stat().st_mode & 0o100]
    removed = [name for name in given if not (WORKSPACE / name).is_file()]
    texts = {name: data.decode(errors="replace")[: 1 << 16] for name, data in notes.items()}
    return {"files": files, "executable": executable, "removed": removed, "odd": odd, "notes": texts}


def found(mutable: list[str], without: list[str]) -> Iterator[Path]:
    """Everything below the mutable paths but folders, and but what is never part of a patch; links are not followed."""
    for entry in mutable:
        if not (WORKSPACE / entry).is_dir():
            if os.path.lexists(WORKSPACE / entry):
                yield WORKSPACE / entry
            continue
        for folder, folders, names in os.walk(WORKSPACE / entry):
            folders[:] = [name for name in folders if not left_out(Path(folder, name), without)]
            files = [name for name in names if not name.endswith(".pyc")]
            yield from (Path(folder, name) for name in files if not left_out(Path(folder, name), without))
            yield from (Path(folder, name) for name in folders if Path(folder, name).is_symlink())


def left_out(path: Path, without: list[str]) -> bool:
    """Whether a path matches one of the kernel's globs; of these only `**/name` and `folder/**` cross folders."""
    name = path.relative_to(WORKSPACE).as_posix()
    return any(
        fnmatchcase(name, glob) or fnmatchcase(path.name, glob[3:] if glob[:3] == "**/" else "") for glob in without
    )


def ask(name: str, body: dict[str, Any]) -> dict[str, Any]:
    """One request to the kernel, without a proxy and without a time limit: the box has one."""
    request = urllib.request.Request(  # noqa: S310 - the gateway's own address
        f"{GATEWAY}/ratchet/{name}", data=json.dumps(body).encode(), headers={"Content-Type": "application/json"}
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request) as response:
        answer: dict[str, Any] = json.load(response)
    return answer


def show_trial(answer: dict[str, Any]) -> int:
    """The score, what it took and what is left, above and below the end of the transcript."""
    TRANSCRIPTS.mkdir(parents=True, exist_ok=True)
    file = TRANSCRIPTS / f"{answer['number']}-{answer['task']}.md"
    file.write_text(answer["transcript"], encoding="utf-8")
    left = f"{answer['tries_left']} tries left"
    tokens = "" if answer["tokens_left"] is None else f", {answer['tokens_left']} tokens left for them"
    score = f"task {answer['task']}: score {answer['score']:g} ({answer['reason']})"
    used = f"{answer['seconds']:.1f} s, {answer['calls']} model calls, {answer['tokens']} tokens; {left}{tokens}"
    shown = answer["transcript"][-SHOWN:].rstrip()
    sys.stdout.write("\n".join([score, used, f"the transcript is in {file}; its end:", "", shown, "", score, used, ""]))
    return 0


def show_check(answer: dict[str, Any]) -> int:
    """Every fault of the patch, or that there is none."""
    faults = answer["faults"]
    sys.stdout.write("the patch would be refused:\n" if faults else "the patch would be admitted\n")
    for line in [*(f"- {fault}" for fault in faults), *(f"note: {note}" for note in answer["notes"])]:
        sys.stdout.write(f"{line}\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
