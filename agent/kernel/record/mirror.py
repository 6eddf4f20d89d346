"""What a campaign's folder shows to `cat`: `attempts.tsv` and `record.jsonl`, derived from the ledger.

Only the ledger counts: nothing is read back from here. A mirror that cannot be written is given up until the next
start, and never stops a campaign. Text that a model wrote is escaped (JSON) or reduced to one printable line (TSV).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Protocol

from agent.base.text import clean_line
from agent.kernel.record.chain import COVERED, Value

ATTEMPTS, RECORD = "attempts.tsv", "record.jsonl"
HEADER = ("time", "id", "from", "fate", "trials", "score", "subject", "reason")

Link = tuple[int, str, Sequence[Value], bytes]
"""A row as the chain links it: its number, table, values, digest."""

_LEFT_OUT = frozenset({("calls", "request")})
_STANDING = """
SELECT coalesce(f.at, c.at), c.id, c.parent, coalesce(f.fate, c.fate), coalesce(t.trials, 0), t.total, c.subject,
  coalesce(f.reason, c.reason)
FROM candidates c
LEFT JOIN fates f ON f.id = (SELECT max(id) FROM fates WHERE candidate = c.id)
LEFT JOIN tallies t ON t.candidate = c.id AND t.purpose = 'search'
"""
_ALL, _ONE = f"{_STANDING} ORDER BY c.id", f"{_STANDING} WHERE c.id = ?"
_TAIL_BYTES = 1 << 16


class Source(Protocol):
    """Where a mirror reads what it lacks."""

    def stream(self, sql: str, *values: object) -> Iterator[Any]:
        """The rows of a query."""
        ...

    def links(self, after: int) -> Iterator[Link]:
        """The chained rows whose number is above `after`."""
        ...


class Mirror:
    """Two files that grow with the ledger. The last line of an attempt counts; each start reduces them to one."""

    def __init__(self, folder: Path, source: Source) -> None:
        self.trouble: str | None = None
        self._source = source
        self._files: list[IO[str]] = []
        try:
            self._write_attempts(folder / ATTEMPTS)
            self._attempts, self._record = self._open(folder / ATTEMPTS), self._open(folder / RECORD)
            _put_lines(self._record, map(_record_line, source.links(self._known(folder / RECORD))))
        except OSError as error:
            self._give_up(error)

    def add(self, new: Iterable[Link]) -> None:
        """Write the rows of one transaction down."""
        if self.trouble is not None:
            return
        try:
            touched: dict[Value, None] = {}
            for number, table, values, digest in new:
                self._record.write(_record_line((number, table, values, digest)))
                if table in {"candidates", "fates"}:
                    touched[values[COVERED[table].index("candidate" if table == "fates" else "id")]] = None
            self._record.flush()
            for candidate in touched:
                _put_lines(self._attempts, map(_attempt_line, self._source.stream(_ONE, candidate)))
        except OSError as error:
            self._give_up(error)

    def close(self) -> None:
        """Close the files."""
        for file in self._files:
            try:
                file.close()
            except OSError as error:
                self.trouble = self.trouble or str(error)
        self._files.clear()

    def _give_up(self, error: OSError) -> None:
        self.trouble = f"{error}; the mirror is brought up to date at the next start"
        self.close()

    def _open(self, path: Path) -> IO[str]:
        file = path.open("a", encoding="utf-8", newline="\n")
        self._files.append(file)
        return file

    def _write_attempts(self, path: Path) -> None:
        fresh = path.with_suffix(".new")
        with fresh.open("w", encoding="utf-8", newline="\n") as file:
            _put_lines(file, ["\t".join(HEADER) + "\n"])
            _put_lines(file, map(_attempt_line, self._source.stream(_ALL)))
        fresh.replace(path)

    def _known(self, path: Path) -> int:
        """The last number that the record on disk holds correctly; what follows, or all of it, is cut off."""
        with path.open("rb+") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL_BYTES))
            tail = file.read()
            whole = tail.rfind(b"\n") + 1
            lines = tail[:whole].splitlines()
            number = self._confirmed(lines[-1]) if lines and all(map(_current, lines[size > len(tail) :])) else 0
            file.truncate(size - len(tail) + whole if number else 0)
        return number

    def _confirmed(self, line: bytes) -> int:
        try:
            said = json.loads(line)
            number, digest = int(said["n"]), str(said["digest"])
        except (ValueError, TypeError, KeyError):
            return 0
        stored = [row[0].hex() for row in self._source.stream("SELECT digest FROM chain WHERE n = ?", number)]
        return number if stored == [digest] else 0


def _current(line: bytes) -> bool:
    """Whether a line has today's columns; a ledger that was migrated may have renamed them."""
    try:
        said = json.loads(line)
        return bool(said.keys() == {"n", "row", "digest", *_shown(said["row"])})
    except (ValueError, TypeError, KeyError, AttributeError):
        return False


def _shown(table: str) -> list[str]:
    return [column for column in COVERED[table] if (table, column) not in _LEFT_OUT]


def _put_lines(file: IO[str], lines: Iterable[str]) -> None:
    file.writelines(lines)
    file.flush()


def _record_line(one: Link) -> str:
    number, table, values, digest = one
    row = dict(zip(COVERED[table], values, strict=True))
    shown = {column: row[column] for column in _shown(table)}
    return json.dumps({"n": number, "row": table, **shown, "digest": digest.hex()}) + "\n"


def _attempt_line(row: Sequence[Any]) -> str:
    at, number, parent, fate, trials, total, subject, reason = row
    when = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    score = "" if not trials else f"{total / trials:.3f}"
    origin = "" if parent is None else parent
    cells = (when, number, origin, fate, trials, score, clean_line(subject), clean_line(reason))
    return "\t".join(map(str, cells)) + "\n"
