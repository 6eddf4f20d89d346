"""Tasks whose answer is a text: `match` in place of `check`, `reward` and `tests`.

The text is data, so nothing that a candidate wrote runs while it is graded, and the exit code can be believed.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from agent.suites.format import Match, TaskFile
from agent.suites.place import Place

FOLDER = ".match"
_HELPER = Path(__file__).with_name("in_box_match.py")
_REPLACED = ("check", "reward", "tests")


def expanded(entry: TaskFile, place: Place) -> TaskFile:
    """A task with what its `match` stands for; the task itself if it has none. Raises UserError."""
    match = entry.match
    if match is None:
        return entry
    if given := next((name for name in _REPLACED if name in entry.model_fields_set), None):
        raise place.error(given, "does nothing beside match", "Keep one of them.")
    if (match.exact is None) == (match.regex is None):
        raise place.error("match", "needs either exact or regex", "Write one of them.")
    if match.regex is not None:
        try:
            re.compile(match.regex)
        except (re.error, OverflowError, RecursionError) as error:
            raise place.error(("match", "regex"), f"is not a regular expression ({error})", "Fix it.") from error
    return entry.model_copy(update=settings(match, entry))


def settings(match: Match, entry: TaskFile) -> dict[str, Any]:
    """The fields that a match stands for; what the task says itself about `submit` and `solution` stays."""
    exact = [match.exact] if isinstance(match.exact, str) else match.exact
    wanted = {"exact": exact, "regex": match.regex, "ignore_case": match.ignore_case}
    helper, expected = f"{FOLDER}/match.py", f"{FOLDER}/expected.json"
    found: dict[str, Any] = {
        "check": ["python3", "-I", f"/workspace/{helper}", f"/workspace/{match.file}", f"/workspace/{expected}"],
        "reward": "exit",
        "tests": {helper: _HELPER.read_text(encoding="utf-8"), expected: json.dumps(wanted)},
    }
    if entry.submit is None:
        found["submit"] = [match.file]
    if exact and entry.solution is None:
        found["solution"] = {match.file: f"{exact[0]}\n"}
    return found
