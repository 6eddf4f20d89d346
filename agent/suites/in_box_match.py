"""Runs in the grading box of a task with `match`: exit code 0 if the text that was handed in is the answer.

python3 -I match.py FILE EXPECTED.json

FILE is data, so nothing that a candidate wrote runs here.
"""

import json
import re
import sys
from pathlib import Path

MAX_BYTES = 1 << 20


def main(answer: str, expected: str) -> str:
    """What is wrong with the answer; empty if nothing is."""
    wanted = json.loads(Path(expected).read_text(encoding="utf-8"))
    try:
        with Path(answer).open("rb") as file:
            said = file.read(MAX_BYTES + 1).decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        return f"{answer}: {error}"
    if len(said) > MAX_BYTES:
        return f"{answer}: more than {MAX_BYTES} bytes"
    return "" if matches(said, wanted) else f"{said!r:.80} is not the answer"


def matches(said: str, wanted: dict) -> bool:  # type: ignore[type-arg]
    """Whether a text is one of `exact`, or holds a match of `regex`."""
    if wanted.get("regex") is not None:
        flags = re.IGNORECASE if wanted["ignore_case"] else 0
        return re.search(wanted["regex"], said, flags) is not None
    texts = [text.strip() for text in wanted["exact"]]
    if wanted["ignore_case"]:
        return said.casefold() in [text.casefold() for text in texts]
    return said in texts


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]) or 0)
