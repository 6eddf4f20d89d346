"""A ledger like that of a long campaign, generated from a seed without boxes or a model: written by the ledger's own
methods, judged by the real gate. With `hostile`, the texts attack the reader."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from agent.base.types import Call, Candidate, Fate, Purpose, Split, Trial
from agent.base.usage import Usage
from agent.kernel.decide.gate import GateSettings, PairedTest, Verdict
from agent.kernel.record.ledger import Ledger

SIZES = {Split.SEARCH: 60, Split.GATE: 60, Split.HOLDOUT: 30}
VERBS = ("Retry", "Shorten", "Check", "Split", "Cache", "Raise", "Lower", "Explain")
THINGS = ("the final answer", "SHOTS from 0 to 2", "tool output", "long files", "the plan", "failed edits")
REFUSALS = (
    "reads the same as candidate 1, up to comments and layout", "crashes at start: no submission (exit code 1)",
    "path `tests/x.py` is outside the mutable paths (agent/scaffold, prompts)", "the patch changes nothing",
)  # fmt: skip
VILE = (
    "<script>window.owned=1</script>", "<svg onload=window.owned=1>",
    "</style><img src=x onerror=window.owned=1>",
    "\x1b[31mred\x1b[0m \x1b]8;;http://evil.test\x07link\x1b]8;;\x07", "\u202egnp.exe\u2066 \u200b",
    "{{ 7*7 }}{% raw %}",
    "'\"><a href=javascript:window.owned=1>x</a>", "</script><!--", "\x00\x07\ud7ff",
)  # fmt: skip


@dataclass
class Writer:
    """Generates one campaign."""

    ledger: Ledger
    rng: random.Random
    hostile: bool = False
    settings: GateSettings = field(default_factory=GateSettings)
    skills: dict[int, float] = field(default_factory=dict)
    indices: dict[int, int] = field(default_factory=dict)
    champions: list[int] = field(default_factory=lambda: [0])
    tests: int = 0
    made: int = 0

    def text(self, plain: str) -> str:
        return f"{plain} {self.rng.choice(VILE)}" if self.hostile else plain

    def propose(self, number: int) -> None:
        recent = self.rng.randrange(max(0, number - 40), number or 1)
        near = self.champions[-1] if self.rng.random() < 0.3 else recent
        parent = None if number == 0 else near if near in self.skills else self.champions[-1]
        refused = number > 0 and self.rng.random() < 0.15
        reason = "the scaffold as it was" if number == 0 else self.rng.choice(REFUSALS) if refused else ""
        subject = f"{self.rng.choice(VERBS)} {self.rng.choice(THINGS)}" if number else "seed"
        candidate = Candidate(
            id=number, parent=parent, tree=None if refused else f"{number:040x}", subject=self.text(subject),
            body=self.text("Because transcripts show that it fails there."),
            fate=Fate.REFUSED if refused else Fate.OPEN, reason=self.text(reason) if refused else reason, size=47_000,
        )  # fmt: skip
        diff = self.diff(number) if number else ""
        self.ledger.add_candidate(candidate, fingerprint=str(number), diff=diff, transcript=self.text("thinking"))
        self.ledger.note("proposal", self.text(f"#{number} from #{parent}: {subject}"))
        if not refused:
            base = 0.3 if parent is None else self.skills[parent]
            self.skills[number] = min(0.95, max(0.02, base + self.rng.gauss(0.015, 0.06))) if number else 0.3

    def diff(self, number: int) -> str:
        path = f"agent/scaffold/step_{number % 7}.py"
        lines = [f"diff --git a/{path} b/{path}", f"--- a/{path}", f"+++ b/{path}", "@@ -1,40 +1,44 @@ def solve():"]
        for n in range(self.rng.randint(8, 60)):
            words = f"{self.rng.choice('  +-')}    value_{n} = compute({n}, limit={self.rng.randrange(999)})"
            lines.append(self.text(words))
        if self.hostile:
            lines.append("+" + "A<b>\u202e" * 250_000)
        return "\n".join(lines) + "\n"

    def trial(self, candidate: int, task: str, purpose: Purpose) -> Trial:
        self.made += 1
        hard = (hash_of(task) % 100) / 100 - 0.5
        right = self.rng.random() < self.skills[candidate] - 0.3 * hard
        transcript = self.text(f"trial {self.made} of {task}\n" + "the model says something of some length\n" * 20)
        return Trial(
            id=f"{self.made:012x}", tree=f"{candidate:040x}", task=task, purpose=purpose, seed=self.made,
            score=1.0 if right else self.rng.choice((0.0, 0.0, 0.5)), reason=self.text("3 of 4 hidden tests passed"),
            transcript=transcript, usage=Usage(calls=1, fresh_calls=1, tokens_in=400, tokens_out=90, dollars=0.0004),
            seconds=3.0,
        )  # fmt: skip

    def call(self, trial: str) -> None:
        messages = b'{"messages":[{"content":"solve it","role":"user"}],"model":"m"}'
        self.ledger.record_call(
            Call(
                trial=trial, role="solver", model=self.text("small"), key="k", k=0, answer_scope=None, fresh=True,
                request=messages, response=b'{"choices":[]}', status=200, tokens_in=400, tokens_out=90,
                dollars=0.0004, seconds=1.0, retries=0,
            )
        )  # fmt: skip

    def name(self, split: Split, number: int) -> str:
        return (
            self.text(f"{split}-task-{number}") if not self.hostile else f"{VILE[number % len(VILE)]}{split}-{number}"
        )

    def search(self, candidate: int, count: int) -> None:
        for _ in range(count):
            index = self.indices[candidate] = self.indices.get(candidate, -1) + 1
            trial = self.trial(candidate, self.name(Split.SEARCH, index % SIZES[Split.SEARCH]), Purpose.SEARCH)
            self.ledger.add_trial(trial, candidate=candidate, index=index)
            self.call(trial.id)

    def holdout(self, candidate: int) -> None:
        for index in range(SIZES[Split.HOLDOUT]):
            trial = self.trial(candidate, self.name(Split.HOLDOUT, index), Purpose.HOLDOUT)
            self.ledger.add_trial(trial, candidate=candidate, index=index)

    def gate(self, candidate: int, most: int) -> None:
        champion = self.champions[-1]
        row = self.ledger.open_test(
            candidate=candidate,
            champion=champion,
            commits=len(self.champions) - 1,
            policy="proven",
            settings={**asdict(self.settings), "runs": 10},
        )
        test = PairedTest(self.settings, row.id, row.commits)
        for index in range(most):
            task = self.name(Split.GATE, self.rng.randrange(SIZES[Split.GATE]))
            if self.rng.random() < 0.002:
                self.ledger.add_pair(row, index, task, (None, None), "candidate")
                continue
            sides = (self.trial(champion, task, Purpose.GATE), self.trial(candidate, task, Purpose.GATE))
            self.ledger.add_pair(row, index, task, sides, None)
            if test.add(sides[0].score, sides[1].score) is not None:
                break
        decision = test.decide() or test.close(Verdict.OUT_OF_BUDGET, self.text("the time is used up"))
        self.ledger.close_test(row.id, decision.verdict, asdict(decision))
        if decision.accepted:
            self.holdout(candidate)
            sha, parent = f"{candidate + 1:040x}", f"{champion + 1:040x}"
            self.ledger.add_commit(sha=sha, parent=parent, candidate=candidate, test=row.id)
            self.champions.append(candidate)
        fate = Fate.CHAMPION if decision.accepted else Fate.REJECTED
        self.ledger.set_fate(candidate, fate, decision.sentence)


def hash_of(text: str) -> int:
    return sum(ord(char) * (n + 7) for n, char in enumerate(text)) * 2654435761 % 9973


def write(path: Path, *, candidates: int, trials: int, seed: int = 1, hostile: bool = False, tests: int = 40) -> None:
    """Write a ledger with about that many candidates, trials and gate tests."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with Ledger(path) as ledger:
        # Generated in one go: it need not survive a power cut.
        ledger._db.execute("PRAGMA synchronous = OFF")  # noqa: SLF001
        writer = Writer(ledger, random.Random(seed), hostile=hostile)
        writer.propose(0)
        writer.search(0, 40)
        writer.holdout(0)
        every = max(1, candidates // tests)
        for number in range(1, candidates + 1):
            writer.propose(number)
            left = (trials - writer.made) // (candidates - number + 1)
            waiting = [*_fresh(writer)]
            if number % every == 0 and waiting:
                best = max(waiting, key=lambda c: writer.skills[c])
                writer.search(best, max(0, 60 - writer.indices.get(best, -1)))
                writer.gate(best, max(40, min(1500, left * every // 3)))
            if number in writer.skills:
                writer.search(number, max(1, min(left, 3 * trials // candidates // 2)))
        ledger.remember("seconds", 28_800.0)
        ledger.note("end", writer.text("the campaign's time is used up"))


def _fresh(writer: Writer) -> Iterator[int]:
    met = {row.candidate for row in writer.ledger.tests()}
    return (c for c in writer.skills if c not in met and c not in writer.champions)
