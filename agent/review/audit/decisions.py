"""Who decided what in a campaign, on which evidence, with which kernel and configuration: a text for a reviewer.

Everything is read from the ledger. Texts of models appear only as subjects, cleaned, on one line.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from agent.base.text import clean_line
from agent.kernel.record.ledger import Ledger

_DECISIONS = {
    "begin": "kernel", "end": "kernel", "verdict": "gate", "waiting": "gate", "approved": "a person",
    "rejected": "a person", "outdated": "kernel", "commit": "kernel", "revert": "a person", "request": "a person",
    "tripwire": "kernel", "continued": "a person", "nondeterministic": "kernel", "parts": "kernel", "series": "kernel",
    "paused": "kernel",
}  # fmt: skip
"""Kind of an event that is a decision -> who decided."""

KERNEL, CONFIGURATION, STARTED_BY = "kernel", "configuration", "started by"
"""Names of the values that `ratchet run` keeps at each start: the hash of the trusted code, the configuration, and the
login name of who started it."""

_PERSON = "a person"
_NAMED = re.compile(
    r"^(?:#\d+ was (?:approved|rejected) by (?P<a>[^:]+)|(?P<b>.+?) continued past a tripwire"
    r"|(?:approval|rejection) of #\d+ by (?P<c>.+?) was not done|.*; decided by (?P<d>.+)$)"
)
"""The name of the person in the text of an event."""


_REVERTS = re.compile(r"^#\d+ was reverted by #(\d+) .*; decided by (.+)$")


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """One line of the log. `at` is in Unix seconds."""

    at: float
    by: str
    kind: str
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """What a commit rests on. A revert has no test; `series` has (commit, patch) of all where they are several."""

    commit: str
    parent: str
    candidate: int
    subject: str
    test: int | None
    verdict: str | None
    figures: Mapping[str, Any] | None
    approved_by: str | None
    series: Sequence[tuple[str, int]] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditLog:
    """A campaign's decisions in order of time, and the evidence of each commit."""

    campaign: str
    decisions: tuple[Decision, ...]
    commits: tuple[Evidence, ...]
    head: str


def audit_log(campaign: str, ledger: Ledger) -> AuditLog:
    """Everything that was decided in a campaign, by whom, on which evidence."""
    found = [*_changes(ledger), *_events(ledger)]
    return AuditLog(
        campaign=campaign,
        decisions=tuple(sorted(found, key=lambda one: one.at)),
        commits=tuple(_commits(ledger)),
        head=ledger.anchor(),
    )


def _events(ledger: Ledger) -> Iterator[Decision]:
    for event in ledger.events():
        if event.kind in _DECISIONS:
            by = _DECISIONS[event.kind]
            who = _named(event.text) if by == _PERSON else by
            yield Decision(at=event.at, by=who, kind=event.kind, text=clean_line(event.text))


def _named(text: str) -> str:
    """Who decided, by an event's text; "a person" in ledgers of older versions."""
    found = _NAMED.match(text)
    name = next((name for name in found.groups() if name), "") if found else ""
    return "gate" if name == "the gate (approve" else clean_line(name) or _PERSON


def _changes(ledger: Ledger) -> Iterator[Decision]:
    """Each start whose kernel or configuration differs from that of the start before."""
    starters = ledger.history(STARTED_BY)
    for at, kernel in ledger.history(KERNEL):
        yield Decision(at=at, by=_starter(starters, at), kind="kernel", text=f"the trusted code is {kernel[:12]}")
    before: Mapping[str, Any] = {}
    for at, raw in ledger.history(CONFIGURATION):
        now = _flat(raw)
        text = "; ".join(_changed(before, now)) if before else f"{len(now)} keys, as listed by `--json`"
        yield Decision(
            at=at, by=_starter(starters, at), kind="configuration", text=clean_line(text or "the same as before")
        )
        before = now


def _starter(starters: Sequence[tuple[float, str]], at: float) -> str:
    """Who started the campaign last at a time."""
    names = [name for since, name in starters if since <= at]
    return clean_line(names[-1]) if names else _PERSON


def _changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    for key in sorted(before.keys() | now.keys()):
        old, new = before.get(key), now.get(key)
        if old != new:
            yield f"{key}: {json.dumps(old)} -> {json.dumps(new)}"


def _flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested maps as dotted keys."""
    flat: dict[str, Any] = {}
    for key, inner in value.items():
        flat |= _flat(inner, f"{prefix}{key}.") if isinstance(inner, dict) else {f"{prefix}{key}": inner}
    return flat


def _commits(ledger: Ledger) -> Iterator[Evidence]:
    tests = {test.id: test for test in ledger.tests()}
    subjects = {one.id: one.subject for one in ledger.candidates()}
    deciders = {int(number): entry.get("by") for number, entry in (ledger.recollect("approvals") or {}).items()}
    deciders |= dict(_reverters(ledger))
    for row in ledger.commits():
        test = tests.get(row.test) if row.test is not None else None
        yield Evidence(
            commit=row.sha,
            parent=row.parent,
            candidate=row.candidate,
            subject=clean_line(subjects.get(row.candidate, "")),
            test=row.test,
            verdict=test.verdict if test is not None else None,
            figures=test.decision if test is not None else None,
            approved_by=deciders.get(row.candidate) or None,
            series=ledger.series(row.sha),
        )


def _reverters(ledger: Ledger) -> Iterator[tuple[int, str]]:
    """(candidate that reverts another one, who decided it)."""
    for event in ledger.events():
        if event.kind == "revert" and (found := _REVERTS.match(event.text)):
            yield int(found[1]), found[2]


def as_json(log: AuditLog, ledger: Ledger) -> str:
    """The log for programs, with the whole configuration of each start."""
    configurations = [{"at": at, "configuration": raw} for at, raw in ledger.history(CONFIGURATION)]
    return json.dumps({**asdict(log), "configurations": configurations}, indent=1)


def as_markdown(log: AuditLog) -> str:
    """The log for a reviewer."""
    lines = [
        f"# Decisions of campaign {log.campaign}",
        "",
        f"{len(log.commits)} commits. Link of the ledger's chain as of now: `{log.head}`.",
        "`ratchet verify --ledger` checks that no row was changed since; `ratchet verify COMMIT` checks one commit.",
        "",
        "## Who decided what",
        "",
        "| time (UTC) | by | what | |",
        "|---|---|---|---|",
        *(f"| {_when(one.at)} | {_cell(one.by)} | {one.kind} | {_cell(one.text)} |" for one in log.decisions),
        "",
        "## What each commit rests on",
        "",
    ]
    for one in log.commits:
        lines += [f"### {one.commit[:12]} (#{one.candidate}) {_cell(one.subject)}", "", *_evidence_lines(one), ""]
    if not log.commits:
        lines += ["Nothing was committed.", ""]
    return "\n".join(lines)


def _evidence_lines(one: Evidence) -> Iterator[str]:
    yield f"- parent: {one.parent}"
    if one.series:
        commits = ", ".join(f"{sha[:12]} (#{patch})" for sha, patch in one.series)
        yield f"- commits, one a patch, proven as a whole only: {commits}"
    if one.test is None:
        yield f"- decided by {_cell(one.approved_by or _PERSON)}, without a test"
        return
    yield f"- test {one.test}: {one.verdict}"
    for key, value in sorted((one.figures or {}).items()):
        yield f"- {key}: {_cell(json.dumps(value))}"
    yield f"- approved by: {_cell(one.approved_by) if one.approved_by else 'the gate alone'}"


def _when(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(at))


def _cell(text: str) -> str:
    return clean_line(text).replace("|", "\\|").replace("<", "&lt;")
