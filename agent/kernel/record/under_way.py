"""Model calls that were sent and have not ended, so that one that a crash cuts off is booked at the next start.

A line when a call is sent, with the most that it may cost, and a line when its row is in the ledger. The lines are
not synced to the disk: they outlive this process, however it ends, but not a power cut.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from agent.base.errors import RecordBroken
from agent.base.types import Call
from agent.kernel.record.ledger import Ledger

FILE = "calls-under-way.jsonl"
MOST_BYTES = 1 << 20
"""A longer file is rewritten with what is under way."""
_KEPT = (
    "trial", "role", "model", "key", "k", "answer_scope", "tokens_in", "tokens_out", "dollars", "status", "retries",
)  # fmt: skip
_RESPONSE = b'{"error":{"message":"cut off: the campaign\'s process ended during the call","code":"cancelled"}}'


class UnderWay:
    """Satisfies the gateway's `Journal`; one process writes, under the campaign's lock."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._numbers, self._lines = itertools.count(), dict[int, str]()
        with _broken(self._path):
            self._file: IO[str] = self._path.open("a", encoding="utf-8")

    def sent(self, call: Call, number: int | None) -> int:
        """A call is sent, once more if it has a number already; its number. Raises RecordBroken."""
        known = next(self._numbers) if number is None else number
        fields = {name: getattr(call, name) for name in _KEPT}
        self._lines[known] = json.dumps({"number": known, "call": fields})
        self._write(self._lines[known])
        return known

    def ended(self, number: int) -> None:
        """Its row is in the ledger. Raises RecordBroken."""
        if self._lines.pop(number, None) is not None:
            self._write(json.dumps({"number": number}))

    def close(self) -> None:
        """Close the file; it goes if nothing is under way."""
        self._file.close()
        if not self._lines:
            self._path.unlink(missing_ok=True)

    def _write(self, line: str) -> None:
        with _broken(self._path):
            self._file.write(f"{line}\n")
            self._file.flush()
            if self._file.tell() > MOST_BYTES:
                self._compact()

    def _compact(self) -> None:
        fresh = self._path.with_suffix(".new")
        fresh.write_text("".join(f"{line}\n" for line in self._lines.values()), encoding="utf-8")
        fresh.replace(self._path)
        self._file.close()
        self._file = self._path.open("a", encoding="utf-8")


def book_cut_off(folder: Path, ledger: Ledger) -> int:
    """Book the calls that an earlier process left under way, at the most that they may have cost; how many.

    Raises:
        RecordBroken: the file or the ledger cannot be read or written.
    """
    path = folder / FILE
    with _broken(path):
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
    left: dict[int, Call] = {}
    for said in map(_said, lines):
        left.pop(said.get("number", -1), None)
        if "call" in said:
            left[said["number"]] = _call(said["call"])
    for call in left.values():
        ledger.record_call(call)
    path.unlink(missing_ok=True)
    return len(left)


def _said(line: str) -> dict[str, Any]:
    """One line; empty for one that was cut off itself."""
    try:
        said: dict[str, Any] = json.loads(line)
    except ValueError:
        return {}
    return said


def _call(fields: dict[str, Any]) -> Call:
    return Call(**fields, fresh=True, request=b"{}", response=_RESPONSE, seconds=0.0)


@contextmanager
def _broken(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RecordBroken(f"{path}: {error}") from error
