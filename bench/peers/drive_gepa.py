"""GEPA (package `gepa`): `gepa.optimize` with an adapter; the 60 tasks are train and validation set, as by default.

python -m bench.peers.drive_gepa RESULTS.jsonl MINIBATCH --world add --seeds 1-20 --budget 2000
"""

from __future__ import annotations

import sys
from typing import Any

import gepa
from gepa.core.adapter import EvaluationBatch

from bench.peers.driving import Pick, Run, drive
from bench.peers.world import TASKS, ids_of, program

COMPONENT = "program"


class Quiet:
    """A logger that says nothing."""

    def log(self, *_: object, **__: object) -> None:
        pass


class Adapter:
    """Runs programs in the world."""

    propose_new_texts = None

    def __init__(self, run: Run) -> None:
        self._run = run

    def evaluate(self, batch: list[int], candidate: dict[str, str], capture_traces: bool = False) -> Any:
        ids = ids_of(candidate[COMPONENT])
        scores = [float(self._run.trial(ids, task)) for task in batch]
        traces = [{"task": t, "score": s} for t, s in zip(batch, scores, strict=True)] if capture_traces else None
        return EvaluationBatch(outputs=scores, scores=scores, trajectories=traces)

    def make_reflective_dataset(self, _: Any, batch: Any, components: list[str]) -> dict[str, list[dict[str, str]]]:
        told = [
            {"Inputs": str(one["task"]), "Generated Outputs": "", "Feedback": str(one["score"])}
            for one in batch.trajectories
        ]
        return dict.fromkeys(components, told)


def search(run: Run, minibatch: int) -> Pick:
    def model(prompt: Any) -> str:
        text = prompt if isinstance(prompt, str) else prompt[-1]["content"]
        return f"```\n{program(run.deal(ids_of(text)))}\n```"

    found = gepa.optimize(
        seed_candidate={COMPONENT: program([])},
        trainset=[*range(TASKS)],
        adapter=Adapter(run),
        reflection_lm=model,
        reflection_minibatch_size=minibatch,
        max_metric_calls=run.budget,
        seed=run.world.seed,
        logger=Quiet(),
        display_progress_bar=False,
    )
    best = ids_of(found.best_candidate[COMPONENT])
    return Pick(best, found.val_aggregate_scores[found.best_idx], len(found.candidates) - 1)


if __name__ == "__main__":
    size = int(sys.argv.pop(2))
    drive(f"gepa, minibatch {size}", lambda run: search(run, size))
