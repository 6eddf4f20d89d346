"""Model calls in the record, and what they cost."""

from __future__ import annotations

import json
import sqlite3
import time
from typing import Any

from agent.base.refusal import Aside, Refusal
from agent.base.types import Call
from agent.base.usage import Usage
from agent.kernel.record.rows import AsideRow, CacheRow, LeftOutRow, SpendingRow
from agent.kernel.record.store import Store, insert, put

_DETAILS = ("cache_read", "cache_write", "saved", "left_out")
_SPENT = ("calls", "fresh_calls", "tokens_in", "tokens_out", "fresh_tokens", "dollars", "unpriced")
_CALLS = f"SELECT calls.*, {', '.join(_DETAILS)} FROM calls LEFT JOIN details USING (id)"  # noqa: S608 (our own)


class Calls(Store):
    """The part of a ledger that holds model calls. The messages of a request are stored one by one."""

    def record_call(self, call: Call) -> None:
        """Keep one model call; a power cut can take it until `kept` has returned. Raises RecordBroken."""
        with self._writing_soon() as db:
            fields = {name: getattr(call, name) for name in Call.__slots__ if name not in _DETAILS}
            bodies = {"request": _pack_request(db, call.request), "response": put(db, call.response)}
            number = insert(db, "calls", at=(now := time.time()), **{**fields, **bodies})
            if call.cache_read or call.cache_write or call.left_out:
                details = {name: getattr(call, name) for name in _DETAILS}
                insert(db, "details", id=number, at=now, **{**details, "left_out": json.dumps(call.left_out)})

    def record_refusal(self, refusal: Refusal) -> None:
        """Keep a call that the gateway refused. Raises RecordBroken."""
        with self._writing() as db:
            insert(db, "refusals", at=time.time(), **{name: getattr(refusal, name) for name in Refusal.__slots__})

    def refusals(self, trial: str | None = None, last: int = 100) -> list[Refusal]:
        """The calls of one trial that the gateway refused, or the last ones of the campaign; equal ones are one row."""
        sql = (
            "SELECT trial, path, status, code, reason, sum(times) AS times FROM refusals WHERE ?1 IS NULL OR trial = ?1"
            " GROUP BY trial, path, status, code, reason ORDER BY min(id) DESC LIMIT ?2"
        )
        return [Refusal(**dict(row)) for row in reversed(self._rows(sql, trial, last))]

    def recall(self, answer_scope: str, key: str, k: int) -> Call | None:
        """What settled the k-th occurrence of a request in an answer scope: a fresh answer, or a provider's refusal."""
        sql = (
            f"{_CALLS} WHERE answer_scope = ? AND key = ? AND k = ? AND fresh"
            " AND (status = 200 OR (status BETWEEN 400 AND 498 AND status NOT IN (403, 408, 429))) LIMIT 1"
        )
        rows = self._rows(sql, answer_scope, key, k)
        return self._call(rows[0]) if rows else None

    def calls(self, trial: str | None = None, last: int = 100) -> list[Call]:
        """The calls of one trial in order, or the last ones of the campaign."""
        if trial is not None:
            return [self._call(r) for r in self._rows(f"{_CALLS} WHERE trial = ? ORDER BY id", trial)]
        rows = self._rows(f"{_CALLS} ORDER BY id DESC LIMIT ?", last)
        return [self._call(r) for r in reversed(rows)]

    def call_times(self, trial: str) -> list[float]:
        """When each call of a trial ended, in the order of `calls`, in Unix seconds."""
        return [row[0] for row in self._rows("SELECT at FROM calls WHERE trial = ? ORDER BY id", trial)]

    def beside_trials(self) -> list[tuple[str, str]]:
        """(trial, role) of calls that belong to no finished trial: proposals, and trials that were void."""
        sql = "SELECT trial, role FROM calls WHERE trial NOT IN (SELECT id FROM trials) GROUP BY 1 ORDER BY min(id)"
        return [tuple(row) for row in self._rows(sql)]

    def _call(self, row: sqlite3.Row) -> Call:
        fields = {name: row[name] for name in Call.__slots__ if name not in {"request", "response", "fresh", *_DETAILS}}
        request = self._unpack_request(row["request"])
        if row["left_out"] is not None:
            fields |= {name: row[name] for name in _DETAILS} | {"left_out": tuple(json.loads(row["left_out"]))}
        return Call(**fields, fresh=bool(row["fresh"]), request=request, response=self.blob(row["response"]))

    def _unpack_request(self, packed: str) -> bytes:
        skeleton, hashes, field = json.loads(packed)
        if field is None:
            return self.blob(skeleton)
        skeleton[field] = [json.loads(self.blob(h)) for h in hashes]
        return json.dumps(skeleton, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    def spent(self, role: str | None = None) -> Usage:
        """All model use so far, of the campaign or of one role."""
        sums = ", ".join(f"coalesce(sum({name}), 0)" for name in _SPENT)
        row = self._rows(f"SELECT {sums} FROM spending WHERE ?1 IS NULL OR role = ?1", role)[0]  # noqa: S608
        return Usage(**dict(zip(_SPENT, row, strict=True)))

    def cache_use(self) -> list[CacheRow]:
        """What the providers' prompt caches did, by role and model; only where they did anything."""
        sql = (
            "SELECT role, model, sum(cache_read), sum(cache_write), total(saved) FROM details JOIN calls USING (id)"
            " WHERE cache_read OR cache_write GROUP BY 1, 2 ORDER BY 1, 2"
        )
        return [CacheRow(*row) for row in self._rows(sql)]

    def saved(self, candidate: int) -> float:
        """What the providers' prompt caches saved in a candidate's finished trials, in dollars."""
        sql = (
            "SELECT total(saved) FROM details JOIN calls USING (id)"
            " WHERE calls.trial IN (SELECT id FROM trials WHERE candidate = ?)"
        )
        return float(self._rows(sql, candidate)[0][0])

    def left_out(self) -> list[LeftOutRow]:
        """What was not sent of requests, by model and name, with the number of calls."""
        sql = (
            "SELECT model, value, count(*) FROM details JOIN calls USING (id), json_each(left_out)"
            " GROUP BY 1, 2 ORDER BY 1, 3 DESC, 2"
        )
        return [LeftOutRow(*row) for row in self._rows(sql)]

    def asides(self) -> list[AsideRow]:
        """The calls that no box made, by what they were for."""
        marks = ", ".join("?" * len(Aside))
        sql = (
            "SELECT trial, count(*), sum(tokens_in + tokens_out), total(dollars) FROM calls"  # noqa: S608 (our own names)
            f" WHERE trial IN ({marks}) GROUP BY 1 ORDER BY 1"
        )
        return [AsideRow(*row) for row in self._rows(sql, *Aside)]

    def spending(self, slices: int) -> list[SpendingRow]:
        """Model use over time: the campaign's calls in at most `slices` equal parts, by role and model."""
        return [
            SpendingRow(*row)
            for row in self._rows(
                "SELECT max(at), role, model, count(*), sum(fresh), sum(fresh * (tokens_in + tokens_out)),"
                " coalesce(sum(fresh * dollars), 0), sum(fresh AND dollars IS NULL)"
                " FROM calls, (SELECT min(at) AS first, max(at) - min(at) AS span FROM calls)"
                " GROUP BY CAST((at - first) * ? / max(span, 1e-6) AS INTEGER), role, model ORDER BY 1",
                slices - 1,
            )
        ]


def _pack_request(db: sqlite3.Connection, request: bytes) -> str:
    """JSON [skeleton, [hash of each message], field]; a body that is not a chat request is stored whole."""
    parsed: Any = json.loads(request) if request[:1] == b"{" else None
    field = next(
        (f for f in ("messages", "input") if isinstance(parsed, dict) and isinstance(parsed.get(f), list)),
        None,
    )
    if parsed is None or field is None:
        return json.dumps([put(db, request), [], None])
    hashes = [put(db, json.dumps(m, sort_keys=True, ensure_ascii=False).encode()) for m in parsed.pop(field)]
    return json.dumps([parsed, hashes, field])
