"""What an improver gets: the campaign as files with an index, and a git repository of every candidate.

Covered: of gate and holdout nothing but the verdict's word; bounded in number and size, whatever boxes printed.
Not covered: the texts are those of models and boxes, so an improver may read there what another one wants it to.
"""

from __future__ import annotations

import asyncio
import json
import shlex
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache, partial
from heapq import merge
from itertools import chain

from agent.base.types import Candidate, Fate, Files, Purpose, Trial
from agent.config.campaign import Config
from agent.kernel.decide.cheaper import Aim, Objective
from agent.kernel.decide.gate import GateSettings
from agent.kernel.decide.informative import informative
from agent.kernel.decide.predictions import Calibration
from agent.kernel.git.excerpt import Branch
from agent.kernel.loop import pages
from agent.kernel.loop.attempts import Attempt, Attempts
from agent.kernel.loop.bring_over import BringOver
from agent.kernel.loop.drafts import Draft
from agent.kernel.loop.lessons import LESSONS, lessons_of
from agent.kernel.loop.opening import with_recorded_windows
from agent.kernel.loop.parts import Parts
from agent.kernel.loop.seen import KEPT
from agent.kernel.loop.settings import aim_of, before_a_test, fewest_pairs, gate_settings
from agent.kernel.loop.shown import SearchTasks
from agent.kernel.loop.threads import to_end
from agent.kernel.record.rows import Result

MOST_CANDIDATES = 60
"""Candidates in tables and in the repository: the parent's relatives, the best, the latest."""

MOST_BYTES = 4 << 20
"""Bytes of all pages, and of the repository's pack."""

Left = Mapping[str, int | None]
"""What the campaign's limits leave, by name; None: no limit."""

SHOWN_ATTEMPTS = 40
"""Attempts in `brief.json`: the latest."""

TEXTS_KEPT = 256
"""Pages and transcripts, each, that are held in memory: a briefing shows many that the last one showed."""

_SAID = 4000
_BEST = 12


@dataclass(frozen=True, kw_only=True, slots=True)
class Briefing:
    """What is put below `/task/context`, and into the workspace beside the mutable paths."""

    context: Files
    beside: Files


class Briefer:
    """Writes briefings from the ledger. `tasks` are the search tasks that improvers may see."""

    def __init__(self, parts: Parts, search: SearchTasks) -> None:
        self._parts, self._state, self._config = parts, parts.state, parts.config
        self.tasks, self._purpose = search.shown, search.purpose
        self._attempts = Attempts(parts.state, search)
        self._excerpt = parts.repository.excerpt()
        self._transcript = lru_cache(maxsize=TEXTS_KEPT)(self._read_transcript)
        self._page = lru_cache(maxsize=TEXTS_KEPT)(self._read_page)
        self._line = lru_cache(maxsize=KEPT)(self._read_line)

    async def write(
        self,
        parent: Candidate,
        left: Callable[[], Left],
        source: Candidate | None = None,
        beside: Sequence[Draft] = (),
    ) -> Briefing:
        """What the improver gets that is to build on `parent`; `left` says what is left of the campaign.

        `source` is the candidate whose patch it is to bring over, `beside` are the proposals under way.
        """
        needed = (parent.id,) if source is None else (parent.id, source.id)
        relatives = first((one for one in self._relatives(parent) if one != parent.id), MOST_CANDIDATES - 1)
        chosen = sorted(first(chain(needed, relatives, reversed(self._state.candidates)), MOST_CANDIDATES))
        shown = [self._state.candidates[one] for one in chosen]
        attempts, brought = self._attempts.of(shown), None
        if source is not None:
            brought = await to_end(partial(self._brought, parent, source, attempts))
            attempts = self._attempts.of(shown)
        context = self._context(parent, relatives, left(), attempts, brought)  # all figures are of one moment
        repository = await asyncio.to_thread(self._repository, parent, attempts)
        if beside:
            context["under-way.tsv"] = pages.drafts_table(beside, time.monotonic()).encode()
        context["README.md"] = pages.index_page(context.keys(), apart=self._purpose is Purpose.SHOWN).encode()
        lessons = lessons_of(self._state.ledger)
        return Briefing(
            context={f"context/{path}": body for path, body in context.items()},
            beside={**repository, **({LESSONS: lessons.encode()} if lessons else {})},
        )

    def _relatives(self, parent: Candidate) -> Iterator[int]:
        """The champion, then ancestors, siblings and children of the parent, then the best; some may come twice."""
        state, above = self._state, parent.parent
        families = [state.children(one) for one in (parent.id, above) if one is not None]
        yield state.champion
        while above is not None:
            yield above
            above = state.candidates[above].parent
        yield from merge(*map(reversed, families), reverse=True)
        yield from state.best(_BEST)

    def _brought(self, parent: Candidate, source: Candidate, attempts: Sequence[Attempt]) -> BringOver:
        """What is known of a patch that does not merge onto `parent`."""
        repository, base = self._parts.repository, self._state.candidates[self._state.base_of(source.id)]
        sides = [one.tree or "" for one in (base, parent, source)]
        return BringOver(
            attempt=next(one for one in attempts if one.candidate.id == source.id),
            base=base.id,
            onto=parent.id,
            diff=repository.diff(sides[0], sides[2]),
            conflicts=repository.read(*repository.merged(*sides)),
        )

    # ---------------------------------------------------------------------------- pages

    def _context(
        self,
        parent: Candidate,
        relatives: Sequence[int],
        left: Left,
        attempts: Sequence[Attempt],
        brought: BringOver | None,
    ) -> dict[str, bytes]:
        found = sum((one.calibration for one in attempts if one.outcomes), Calibration())
        return {
            **self._brief(parent, left, {} if brought is None else {"bring_over": brought.brief()}),
            "campaign.md": (self._facts(attempts, parent, left) + "\n" + pages.calibration_words(found)).encode(),
            "candidates.tsv": pages.candidates_table(attempts, self._state.counted).encode(),
            "results.tsv": pages.results_table(attempts).encode(),
            "scores.tsv": pages.scores_table(attempts, self.tasks).encode(),
            **({} if brought is None else bounded(brought.pages(), MOST_BYTES // 4)),
            **bounded(self._trials(parent, relatives, attempts), MOST_BYTES // 4),
            **self._task_files,
            **bounded(self._attempt_pages(attempts), MOST_BYTES // 2),
        }

    @cached_property
    def _task_files(self) -> Files:
        return bounded(pages.task_files(self.tasks), MOST_BYTES // 4)

    def _brief(self, parent: Candidate, left: Left, more: Mapping[str, object]) -> dict[str, bytes]:
        """`brief.json`, with `more` in it, and the transcripts that it names."""
        failures = dict(enumerate(self._state.failures(parent.id, self._purpose), start=1))
        listed = [{"task": t.task, "reason": t.reason, "file": f"transcripts/{n}.md"} for n, t in failures.items()]
        brief = {**self._state.brief(self._config.name, parent.id, left), **more}
        page = pages.brief_page(brief, attempts=self._latest(), failures=[json.dumps(one) for one in listed])
        return {
            "brief.json": page.encode(),
            **{f"transcripts/{n}.md": pages.trial_page(_clipped(t)).encode() for n, t in failures.items()},
        }

    def _latest(self) -> list[str]:
        """The latest attempts, as `brief.json` holds them."""
        state, met = self._state, self._state.ledger.verdicts()
        latest = ((one, state.shown_reason(one, met=one.id in met)) for one in state.latest(SHOWN_ATTEMPTS))
        return [self._line(one, reason, state.score(one.id)) for one, reason in latest]

    def _read_line(self, one: Candidate, reason: str, score: float | None) -> str:
        return pages.brief_line(one, reason, score, self._state.texts(one.id)[0])

    def _attempt_pages(self, attempts: Sequence[Attempt]) -> dict[str, bytes]:
        """The latest first, since the room may not suffice for all."""
        shown = reversed([one for one in attempts if one.candidate.parent is not None])
        return {f"attempts/{one.candidate.id}.md": self._page(one) for one in shown}

    def _read_page(self, one: Attempt) -> bytes:
        diff, said = self._state.texts(one.candidate.id)
        return pages.attempt_page(one, diff, said[-_SAID:] if one.candidate.fate is Fate.REFUSED else "")

    def _trials(self, parent: Candidate, relatives: Sequence[int], attempts: Sequence[Attempt]) -> dict[str, bytes]:
        marks = chain.from_iterable(one.marks for one in attempts)
        rows = list[tuple[str, int, Trial, str]]()
        for number, one in enumerate(informative(marks, parent.id, relatives), start=1):
            if (trial := self._transcript(one.mark.id)) is not None:
                rows.append((f"trials/{number}.md", one.mark.candidate, trial, one.why))
        listed = {"trials.tsv": pages.trials_table(rows).encode()}
        return listed | {
            file: pages.trial_page(trial, pages.about_trial(owner, trial, why)).encode()
            for file, owner, trial, why in rows
        }

    def _read_transcript(self, trial_id: str) -> Trial | None:
        """A finished trial, with as much of its transcript and model calls as is shown."""
        trial = self._state.ledger.trial(trial_id)
        return None if trial is None else _clipped(self._state.told(trial))

    # ---------------------------------------------------------------------------- facts

    def _facts(self, attempts: Sequence[Attempt], parent: Candidate, left: Left) -> str:
        config, rows = self._config, next(one.results for one in attempts if one.candidate.id == parent.id)
        return pages.facts_page(
            {
                "The agent": self._agent,
                "The solver": self._solver(parent, rows),
                "What one trial may use": [
                    ("model calls", config.boxes.trial_calls),
                    ("model tokens, prompt and completion", config.boxes.trial_tokens),
                    ("seconds", _range([task.solve_timeout for task in self.tasks])),
                    ("memory", f"{config.boxes.memory_mb} MiB"),
                    ("processors", f"{config.boxes.cpus:g}"),
                ],
                "What this proposal may use": [
                    ("seconds", f"{config.boxes.propose_timeout:g}"),
                    ("model calls", config.boxes.proposal_calls),
                    ("model tokens, prompt and completion", config.boxes.proposal_tokens),
                    ("trials of its workspace (`ratchet-try`)", config.proposals.tries),
                    ("model tokens of these trials", config.proposals.try_tokens),
                ],
                "What the gate asks for": self._gate(),
                "What is left": [
                    ("trials of the search line", left.get("trials_left")),
                    ("model tokens for proposals", left.get("tokens_left")),
                    ("share of the campaign's budget that is used", f"{self._parts.budget.fraction():.0%}"),
                ],
            }
        )

    @cached_property
    def _agent(self) -> list[tuple[str, object]]:
        """How a trial runs what is in the workspace; another program that improves it does not know that by itself."""
        scaffold = self._config.scaffold
        return [
            ("command, run in the task's folder", f"`{shlex.join(scaffold.command)}`"),
            ("built before, without network, by", f"`{shlex.join(scaffold.prepare)}`" if scaffold.prepare else None),
            ("paths that a patch may change", ", ".join(scaffold.mutable)),
            ("exceptions, which are not in the workspace", ", ".join(scaffold.frozen) or None),
            ("further paths that a trial sees below /scaffold", ", ".join(scaffold.include) or None),
        ]

    @cached_property
    def _with_windows(self) -> Config:
        return with_recorded_windows(self._config, self._state.ledger)

    def _solver(self, parent: Candidate, rows: Sequence[Result]) -> list[tuple[str, object]]:
        """The model behind a trial, and what the parent's search trials used of it on average."""
        prices = (self._state.ledger.recollect("prices") or {}).get("dollars_per_million", {})
        facts = list[tuple[str, object]]()
        for model in self._with_windows.models.of("solver"):
            name = f"{model.provider}/{model.name}"
            price = prices.get(name, {})
            paid = None if price.get("input") is None else f"${price['input']:g} in, ${price['output']:g} out"
            facts += [("model", name), ("context window, in tokens", model.window)]
            facts += [("most tokens of one answer", model.output_limit), ("dollars per million tokens", paid)]
        trials = sum(row.trials for row in rows)
        if trials:
            each = {name: sum(getattr(row, name) for row in rows) / trials for name in ("calls", "tokens", "seconds")}
            used = f"{each['calls']:.1f} calls, {each['tokens']:.0f} tokens, {each['seconds']:.1f} s"
            facts.append((f"a trial of the parent, #{parent.id}, on average", used))
        return facts

    @cached_property
    def _rules(self) -> tuple[GateSettings, int]:
        """The gate's numbers, and how many pairs it takes at the least."""
        return gate_settings(self._config), fewest_pairs(self._config)

    def _gate(self) -> list[tuple[str, object]]:
        config, (settings, least) = self._config, self._rules
        search = self._state.archive.settings
        trials, errors = before_a_test(config, search, self._state.champion, self._state.trials)
        wanted = f"{trials} search trials, a lead of {search.margin:g} and of {errors:.3g} standard errors"
        proven = config.gate == "proven"
        return [
            ("before a test", f"{wanted} over the champion #{self._state.champion}"),
            ("a test", "fresh trials in pairs against the champion, on tasks that are not shown"),
            ("smallest gain worth finding, in score", f"{settings.smallest_effect:g}" if proven else None),
            ("what is accepted", _accepted(aim_of(config))),
            ("pairs", f"{least} at the least, {settings.max_pairs} at the most" if proven else None),
            ("pairs of a comparison", None if proven else config.gate_options.runs),
        ]

    # ---------------------------------------------------------------------------- the repository

    def _repository(self, parent: Candidate, attempts: Sequence[Attempt]) -> Files:
        """Every shown candidate that has a tree as a branch, checked out at the parent."""
        branches = [_branch(one) for one in attempts if one.candidate.tree is not None]
        room = min(MOST_BYTES, self._config.boxes.disk_mb << 17)
        champion = {"champion": _name(self._state.champion)}
        return self._excerpt.files(branches, _name(parent.id), champion, room)


def first(ids: Iterable[int], most: int) -> list[int]:
    """The first different ones, as many as there may be; no more is asked of `ids` than it takes."""
    found = dict[int, None]()
    for one in ids:
        found[one] = None
        if len(found) == most:
            break
    return list(found)


def _clipped(trial: Trial) -> Trial:
    return replace(trial, transcript=pages.clipped(trial.transcript, pages.MOST_TRANSCRIPT))


def bounded(files: Mapping[str, bytes], most: int) -> Files:
    """The first files, as many as there is room for."""
    kept, size = dict[str, bytes](), 0
    for path, body in files.items():
        if (size := size + len(body)) > most:
            break
        kept[path] = body
    return kept


def _name(candidate: int) -> str:
    return f"candidate/{candidate}"


@lru_cache(maxsize=KEPT)
def _branch(one: Attempt) -> Branch:
    known = one.candidate
    return Branch(
        name=_name(known.id),
        tree=known.tree or "",
        parent=None if known.parent is None else _name(known.parent),
        message=f"{known.subject}\n\n{known.body}".strip(),
        note=pages.note_of(one),
    )


def _accepted(aim: Aim) -> str:
    """What a candidate must be, in words."""
    cheaper = f"not worse by {aim.not_worse:g} or more in score, and {aim.saving:.0%} or more cheaper"
    words = {Objective.SCORE: "a better score", Objective.COST: f"{cheaper}, in {aim.unit} a trial"}
    return words.get(aim.objective, f"a better score; or {words[Objective.COST]}")


def _range(seconds: Sequence[float]) -> str:
    low, high = min(seconds), max(seconds)
    return f"{low:g}" if low == high else f"{low:g} to {high:g}, by task"
