"""Tasks that are kept out of every split, each with its reason, in `quarantine.yaml` beside the suite."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from agent.base import yaml
from agent.base.errors import UserError
from agent.suites.place import Place

QUARANTINE = "quarantine.yaml"
_HEAD = """\
# Tasks that are in no split, and why. Written by `ratchet tasks check --fix-splits`.
# To bring one back, fix it, take its line out, and run `ratchet tasks check` again.
"""


def quarantined(folder: Path) -> dict[str, str]:
    """Tasks that `ratchet tasks check --fix-splits` took out of every split, with the reason. Raises UserError."""
    file = folder / QUARANTINE
    if not os.path.lexists(file):
        return {}
    found = yaml.load(file)
    for name, reason in found.items():
        if not isinstance(reason, str):
            raise Place(file).error(name, "has no reason in words", "Write a text after the id.")
    return found


def quarantine(folder: Path, reasons: Mapping[str, str]) -> None:
    """Put tasks into quarantine, beside those that are there; the file is replaced in one step. Raises UserError."""
    file = folder / QUARANTINE
    whole = {**quarantined(folder), **reasons}
    draft = file.with_suffix(".tmp")
    try:
        draft.write_text(_HEAD + yaml.dump(dict(sorted(whole.items()))), encoding="utf-8")
        draft.replace(file)
    except OSError as error:
        raise UserError(str(file), f"cannot be written ({error.strerror})", "Make the folder writable.") from error
