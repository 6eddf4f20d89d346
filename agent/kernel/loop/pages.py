"""The files that tell an improver what a campaign knows, as text. The index of them is `README.md`.

Only search is in them: its tasks, its trials, the verdict of a gate test in one word. Words of models are in some of
them as they were written; the files are read in a box, by a model.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache

from agent.base.text import clean_line
from agent.base.types import Candidate, Task, Trial
from agent.kernel.decide.predictions import Calibration
from agent.kernel.decide.statistics import wilson
from agent.kernel.loop.attempts import Attempt
from agent.kernel.loop.drafts import Draft
from agent.kernel.record.rows import Result

MOST_TRANSCRIPT = 64 << 10
MOST_DIFF = 128 << 10
MOST_FILES = 64 << 10
SHOWN_DIFF = 4000
"""Characters of one text, bytes of one task's starting files, and characters of a diff in `brief.json`."""

_KEPT = 1024
"""Lines of candidates that are held in memory: each proposal shows many, and few have changed since the last one."""

Counted = tuple[int, float | None]
"""Trials, and their mean score if there are any."""

_PAGES = {
    "campaign.md": "how the agent is started, its model, what a trial may use, what the gate asks for, what is left",
    "candidates.tsv": "a line for each candidate: parent, fate, scores, tokens and seconds a trial",
    "results.tsv": "a line for each task and candidate: trials, mean score, interval, tokens, seconds, time-outs",
    "scores.tsv": "the same scores as a matrix: tasks in lines, candidates in columns, `solved/trials`",
    "under-way.tsv": "what others were writing when you began; `ratchet-check` tells what they are writing now",
    "tasks/": "each search task that you may see: what is asked, and the files that it starts with",
    "trials.tsv": "a line for each transcript in `trials/`: whose it is, and why it was chosen",
    "trials/": "transcripts chosen for what they tell",
    "transcripts/": "the parent's latest failed trials",
    "attempts/": "a page for each attempt: its message, predictions, fate, reason and whole diff",
    "bring-over/": "the patch that is to be brought over, its results, the files that conflict",
    "brief.json": "the most important of it in short",
}
_APART = """\
Two scores of a candidate are told. `score`, in all tables, is of the search tasks that you may see. `counted_score` in
`candidates.tsv`, and each score in `brief.json`, is of other search tasks, by which candidates are judged.
"""
_LEVELLED = """\
Candidates may have been run at different tasks, some harder than others. So `counted_score`, and each score in
`brief.json`, compares candidates as if all had been run at the same tasks as often.
"""
_REPOSITORY = """\
The workspace is a git repository of the mutable paths. Every admitted candidate is a branch, `candidate/ID`;
`champion` is the best one proven, `proposal` is checked out and begins at the parent. `git log --all` shows results as
notes; `git diff candidate/3 candidate/7`, `git show candidate/7:PATH` and `git merge candidate/7` work. What counts in
the end is the files of the workspace, not what is committed there.
"""


def index_page(paths: Collection[str], *, apart: bool) -> str:
    """`README.md`: of these files, what is in each; `apart`: candidates are judged by tasks that are not shown."""
    return _index_page(frozenset([path[: path.find("/") + 1] or path for path in paths]), apart=apart)


@lru_cache(maxsize=_KEPT)
def _index_page(top: frozenset[str], *, apart: bool) -> str:
    here = {name: text for name, text in _PAGES.items() if name in top}
    lines = ["| file | what is in it |", "|---|---|", *(f"| `{name}` | {text} |" for name, text in here.items())]
    parts = [
        "# What the campaign knows\n",
        "\n".join(lines) + "\n",
        *([_APART] if apart else []),
        _LEVELLED,
        _REPOSITORY,
    ]
    return "\n".join(parts)


def clipped(text: str, most: int) -> str:
    """The head and the tail of a text, and a note of how much is left out between them."""
    if len(text) <= most:
        return text
    return f"{text[: most // 2]}\n[... {len(text) - most} characters left out ...]\n{text[-(most - most // 2) :]}"


def brief_page(brief: Mapping[str, object], **lists: Sequence[str]) -> str:
    """`brief.json`, with a line for each entry of `lists`, which are JSON already."""
    rows = [(name, json.dumps(value)) for name, value in brief.items()]
    rows += [(name, "[\n" + ",\n".join(lines) + "\n]" if lines else "[]") for name, lines in lists.items()]
    return "{\n" + ",\n".join(f"{json.dumps(name)}: {text}" for name, text in rows) + "\n}\n"


def brief_line(known: Candidate, reason: str, score: float | None, diff: str) -> str:
    """An earlier attempt in `brief.json`; `score` is the mean of search."""
    left = len(diff) - SHOWN_DIFF
    more = f"\n[... {left} characters left out: attempts/{known.id}.md has the whole diff ...]\n" if left > 0 else ""
    return json.dumps(
        {
            "id": known.id,
            "parent": known.parent,
            "subject": known.subject,
            "fate": known.fate,
            "reason": reason,
            "score": score,
            "diff": diff[:SHOWN_DIFF] + more,
        }
    )


def candidates_table(attempts: Sequence[Attempt], counted: Callable[[int], Counted]) -> str:
    """`candidates.tsv`; `counted` says how a candidate did on the tasks that candidates are judged by."""
    scores = "trials score low high counted_trials counted_score"
    head = f"id parent fate {scores} tokens_per_trial seconds_per_trial time_outs bytes subject reason"
    lines = (_candidate_line(one, *counted(one.candidate.id)) for one in attempts)
    return _line(head.split()) + "".join(lines)


@lru_cache(maxsize=_KEPT)
def _candidate_line(one: Attempt, counted: int, mean: float | None) -> str:
    known, trials = one.candidate, max(one.trials, 1)
    scored = [f"{one.mean:.3f}", *_interval(one.mean, one.trials)] if one.trials else ["", "", ""]
    scored += [str(counted), "" if mean is None else f"{mean:.3f}"]
    tokens, seconds = sum(row.tokens for row in one.results), sum(row.seconds for row in one.results)
    each = [f"{tokens / trials:.0f}", f"{seconds / trials:.1f}", sum(row.late for row in one.results)]
    parent = "" if known.parent is None else known.parent
    return _line([known.id, parent, one.fate, one.trials, *scored, *each, known.size, known.subject, one.reason])


def results_table(attempts: Sequence[Attempt]) -> str:
    """`results.tsv`."""
    head = "task candidate trials score low high tokens_per_trial seconds_per_trial time_outs"
    rows = sorted((row for one in attempts for row in one.results), key=lambda row: (row.task, row.candidate))
    return _line(head.split()) + "".join(map(_result_line, rows))


@lru_cache(maxsize=16 * _KEPT)
def _result_line(row: Result) -> str:
    mean, n = row.total / row.trials, row.trials
    figures = [f"{mean:.3f}", *_interval(mean, n), f"{row.tokens / n:.0f}", f"{row.seconds / n:.1f}", row.late]
    return _line([row.task, row.candidate, n, *figures])


def _interval(mean: float, n: int) -> list[str]:
    return [f"{end:.3f}" for end in wilson(mean, n)]


def scores_table(attempts: Sequence[Attempt], tasks: Sequence[Task]) -> str:
    """`scores.tsv`."""
    tried = [one for one in attempts if one.results]
    names = tuple(task.id for task in tasks)
    columns = [_scores(one, names) for one in tried]
    head = _line(["task", *(f"#{one.candidate.id}" for one in tried)])
    lines = zip(map(clean_line, names), *columns, strict=True)
    return head + "".join(["\t".join(line) + "\n" for line in lines])


@lru_cache(maxsize=_KEPT)
def _scores(one: Attempt, names: tuple[str, ...]) -> list[str]:
    """One candidate's cells for these tasks."""
    return [one.cells.get(name, "") for name in names]


def drafts_table(drafts: Sequence[Draft], now: float) -> str:
    """`under-way.tsv`: what others are writing, as far as they said."""
    head = ["from", "minutes", "brings_over", "subject"]
    told = [[one.parent, f"{(now - one.begun) / 60:.0f}", one.brings or "", one.subject] for one in drafts]
    return _table(head, told)


def trials_table(rows: Sequence[tuple[str, int, Trial, str]]) -> str:
    """`trials.tsv`, of (file, candidate, trial, why it was chosen)."""
    lines = [[file, owner, t.task, f"{t.score:g}", t.reason, why] for file, owner, t, why in rows]
    return _table(["file", "candidate", "task", "score", "reason", "why"], lines)


def trial_page(trial: Trial, about: str = "") -> str:
    """One transcript, as long as it is."""
    head = f"# Task {trial.task}: score {trial.score:g} ({trial.reason})\n\n"
    return head + (f"{about}\n\n" if about else "") + trial.transcript


def about_trial(candidate: int, trial: Trial, why: str) -> str:
    """Whose trial it is, what it used, and why it was chosen."""
    used = f"{trial.seconds:.1f} s, {trial.usage.calls} calls"
    tokens = f"{trial.usage.tokens_in} tokens in, {trial.usage.tokens_out} out"
    return f"Candidate #{candidate}; {used}, {tokens}. {why}."


def attempt_page(one: Attempt, diff: str, said: str) -> bytes:
    """One attempt with its whole diff; of a refused one, with the end of what its improver printed."""
    known = one.candidate
    facts = [f"Parent: #{known.parent}", f"Fate: {one.fate}", *([f"Reason: {one.reason}"] if one.reason else [])]
    if one.trials:
        low, high = _interval(one.mean, one.trials)
        facts.append(f"Search score: {one.mean:.3f} [{low}, {high}] in {one.trials} trials")
    facts += [f"Predicted: {outcome}" for outcome in one.outcomes]
    parts = [f"# #{known.id}: {known.subject}", "\n".join(f"- {fact}" for fact in facts), known.body]
    parts.append(f"```diff\n{clipped(diff, MOST_DIFF)}\n```" if diff else "")
    parts.append(f"The end of its transcript:\n\n````\n{said}\n````" if said else "")
    return ("\n\n".join(filter(None, parts)) + "\n").encode()


def note_of(one: Attempt) -> str:
    """The git note of a candidate."""
    rows = "\n".join(f"{row.task}\t{row.total:g}/{row.trials}" for row in one.results)
    low, high = _interval(one.mean, one.trials)
    score = f"{one.mean:.3f} [{low}, {high}] in {one.trials} search trials" if one.trials else "not measured yet"
    reason = f"\nreason: {one.reason}" if one.reason else ""
    return f"fate: {one.fate}{reason}\nscore: {score}\n\n{rows}\n"


def task_files(tasks: Sequence[Task]) -> dict[str, bytes]:
    """The instruction and the starting files of each task; files of a task that has too many are left out."""
    files = dict[str, bytes]()
    for task in tasks:
        root = f"tasks/{task.id}"
        files[f"{root}/instruction.md"] = task.instruction.encode()
        if sum(map(len, task.files.values())) <= MOST_FILES:
            files |= {f"{root}/files/{path}": body for path, body in task.files.items()}
    return files


def calibration_words(calibration: Calibration) -> str:
    """How far predictions could be trusted so far."""
    return f"Predictions so far: {calibration}.\n"


def facts_page(sections: Mapping[str, Sequence[tuple[str, object]]]) -> str:
    """`campaign.md`: facts by heading; what is not known is left out."""
    parts = []
    for heading, facts in sections.items():
        lines = [f"- {name}: {value}" for name, value in facts if value is not None]
        parts.append(f"## {heading}\n\n" + "\n".join(lines))
    return "# The campaign\n\n" + "\n\n".join(parts) + "\n"


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    return "".join(map(_line, (head, *rows)))


def _line(cells: Sequence[object]) -> str:
    """One line of a table, of cells that are one printable line each."""
    texts = [str(cell) for cell in cells]
    if clean_line(plain := "".join(texts)) != plain or " " in plain:
        texts = [clean_line(text) for text in texts]
    return "\t".join(texts) + "\n"
