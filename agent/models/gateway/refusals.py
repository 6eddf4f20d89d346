"""Calls that the gateway refused, kept with their reason: few of them, and equal ones once with a count.

A box can provoke any number of refusals, and costs nothing by it. So of each box some kinds are kept, a kind being
the same reason up to its figures; the first one is written at once, how often it came again when the box ends.
"""

from __future__ import annotations

import re
from dataclasses import replace

from agent.base.refusal import Refusal
from agent.base.types import CallRecord
from agent.models.gateway.neutral import error_text
from agent.models.gateway.session import BoxSession
from agent.models.ports import BadCall
from agent.models.redact import Redactor

MOST_KINDS = 24
"""Kinds of one box; whatever else it does wrong is counted together."""
_OTHERS = "refused for other reasons, which are not listed"
_LONGEST_REASON, _LONGEST_PATH = 500, 100
_FIGURES = re.compile(r"\d+")

_Kind = tuple[str, int, str, str]


class Refusals:
    """What boxes were refused that no provider saw."""

    def __init__(self, record: CallRecord, redactor: Redactor) -> None:
        self._record, self._redactor = record, redactor
        self._known: dict[BoxSession, dict[_Kind, Refusal]] = {}

    def add(self, session: BoxSession, path: str, error: BadCall) -> None:
        """Keep one refusal. Raises RecordBroken."""
        if session.closed:
            return
        known = self._known.setdefault(session, {})
        made = Refusal(
            trial=session.scope.trial,
            path=_plain(self._redactor.text(path)[:_LONGEST_PATH]),
            status=error.status,
            code=error.code,
            reason=_plain(self._redactor.text(error_text(str(error)))[:_LONGEST_REASON]),
        )
        kind = (made.path, made.status, made.code, _FIGURES.sub("#", made.reason))
        if kind not in known and len(known) >= MOST_KINDS:
            made, kind = replace(made, path="", status=400, code="", reason=_OTHERS), ("", 400, "", _OTHERS)
        if kind in known:
            known[kind] = replace(known[kind], times=known[kind].times + 1)
        else:
            known[kind] = replace(made, times=0)
            self._record.record_refusal(made)

    def close(self, session: BoxSession) -> None:
        """A box has ended: write down how often each of its refusals came again. Raises RecordBroken."""
        for again in self._known.pop(session, {}).values():
            if again.times:
                self._record.record_refusal(again)


def _plain(text: str) -> str:
    """Text that can be written down: halves of characters are none."""
    return text.encode(errors="replace").decode()
