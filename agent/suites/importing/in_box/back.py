"""Runs in the grading box first: puts hidden tests back to where a task's own image would have held copies of them.

python3 -I back.py [COMMAND...]

back.json beside this file has pairs of a file and its place; COMMAND is run afterwards. A place that cannot be had as
it is written (a link on the way, a full disk) ends it with exit code 1: then there is no verdict.
"""

import json
import os
import shutil
import sys
from pathlib import Path


def put(source: Path, place: Path) -> None:
    """Copy a file in place of whatever stands there. Raises OSError."""
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.parent.resolve() != place.parent:
        raise OSError(f"{place.parent} is somewhere else")
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    place.unlink(missing_ok=True)
    body = source.read_bytes()
    place.write_bytes(body)
    place.chmod(0o755 if body.startswith((b"#!", b"\x7fELF")) else 0o644)


def main(command: list[str]) -> int:
    """The exit code; of a command, that of the command."""
    try:
        for source, place in json.loads(Path(__file__).with_name("back.json").read_text(encoding="utf-8")):
            put(Path(source), Path(place))
    except OSError as error:
        sys.stdout.write(f"a hidden test cannot be put back: {error}\n")
        return 1
    if command:
        sys.stdout.flush()
        os.execvp(command[0], command)  # noqa: S606 - the check of the task
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
