"""ShinkaEvolve (package `shinka-evolve`): its runner, local jobs, full rewrites; a score is one run of all 60 tasks.

All else is its default: two islands, weighted parents, no novelty judge, no meta-summaries. There is no embedding
model; by default no choice depends on one. The package fits its parallel jobs to the processors: on two cores one at a
time. It draws parents from numpy's generator, which is seeded here. Its pick is its folder `best`.
"""

from __future__ import annotations

import json
import logging
import tempfile
from pathlib import Path

import numpy as np
from shinka.core import EvolutionConfig, ShinkaEvolveRunner
from shinka.database import DatabaseConfig
from shinka.launch import LocalJobConfig

from bench.peers.driving import Pick, Run, drive
from bench.peers.stub import model, source
from bench.peers.world import TASKS, ids_of

EVALUATOR = """\
import json, random, sys
from pathlib import Path
from bench.peers.world import TASKS, World, ids_of

given = dict(zip(sys.argv[1::2], sys.argv[2::2]))
ids, out = ids_of(Path(given["--program_path"]).read_text()), Path(given["--results_dir"])
score = sum(random.random() < chance for chance in World({world!r}, {seed}).chances(ids)) / TASKS
(out / "metrics.json").write_text(json.dumps({{"combined_score": score}}))
(out / "correct.json").write_text('{{"correct": true}}')
with open({log!r}, "a") as log:
    log.write(json.dumps(ids) + "\\n")
"""


def search(run: Run) -> Pick:
    with tempfile.TemporaryDirectory(prefix="peers-") as home, model(run) as url:
        folder, log = Path(home), Path(home) / "evaluated"
        np.random.seed(run.world.seed)  # noqa: NPY002 (it is what the package draws from)
        (folder / "initial.py").write_text(source([]))
        text = EVALUATOR.format(world=run.world.name, seed=run.world.seed, log=str(log))
        (folder / "evaluate.py").write_text(text)
        ShinkaEvolveRunner(
            evo_config=EvolutionConfig(
                patch_types=["full"], patch_type_probs=[1.0], num_generations=run.budget // TASKS,
                llm_models=[f"local/stub@{url}"], embedding_model=None,
                init_program_path=str(folder / "initial.py"), results_dir=str(folder / "out"),
            ),
            job_config=LocalJobConfig(eval_program_path=str(folder / "evaluate.py")),
            db_config=DatabaseConfig(),
            verbose=False,
        ).run()  # fmt: skip
        best = folder / "out" / "best"
        evaluated = log.read_text().splitlines()
        run.used = TASKS * len(evaluated)
        reported = json.loads((best / "results" / "metrics.json").read_text())["combined_score"]
        return Pick(ids_of((best / "main.py").read_text()), reported, len(evaluated) - 1)


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    drive("shinkaevolve", search)
