"""Demo campaigns with different seeds, in a fresh clone, and a long re-measurement of everything they committed.

    python -m bench.demo.run --seeds 1 2 3 4 5 6 --runs 1

Writes one JSON line per campaign to results.jsonl and prints the table for RESULTS.md. A commit counts as false
if, in fresh coupled pairs against its parent over all gate and holdout tasks, it is not better.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
RESULTS = Path(__file__).parent / "results.jsonl"


def ratchet(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "agent.cli", *arguments]
    env = {"PYTHONPATH": str(folder)}
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, text=True, check=True, env={**os.environ, **env})
    return done.stdout


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


def campaign(folder: Path, seed: int, commits: int | None) -> dict[str, Any]:
    """One campaign; if `folder` holds it to its end already, nothing runs."""
    name = f"demo-{seed}"
    until = () if commits is None else ("--until-commits", str(commits))
    ratchet(folder, "run", "demo.yaml", "--name", name, "--seed", str(seed), *until)
    facts = json.loads(ratchet(folder, "status", "demo.yaml", "--name", name, "--json"))
    log = git(folder, "log", "--reverse", "--format=%H%x09%s", f"HEAD..ratchet/{name}")
    made = [dict(zip(("sha", "subject"), line.split("\t"), strict=True)) for line in log.splitlines()]
    wanted = ("proposals", "rejected", "trials", "calls", "shared_calls", "tokens", "baseline", "champion_score")
    return {"seed": seed, "minutes": round(facts["seconds"] / 60, 2), "commits": made, **{k: facts[k] for k in wanted}}


def remeasure(folder: Path, row: dict[str, Any], runs: int) -> None:
    """Fresh coupled pairs of every commit against its parent, and of the champion against the seed."""
    for commit in row["commits"]:
        differences: list[float] = []
        for split in ("gate", "holdout"):
            out = ratchet(
                folder, "eval", "demo.yaml", "--name", f"demo-{row['seed']}", "--rev", commit["sha"],
                "--against", commit["sha"] + "~1", "--split", split, "--runs", str(runs), "--json",
            )  # fmt: skip
            after, before = json.loads(out.splitlines()[-1])["trials"]
            differences += [a["score"] - b["score"] for a, b in zip(after, before, strict=True)]
        n, mean = len(differences), sum(differences) / len(differences)
        half = 1.96 * (sum((d - mean) ** 2 for d in differences) / (n - 1) / n) ** 0.5
        commit["remeasured"] = {"gain": round(mean, 4), "half_width": round(half, 4), "pairs": n}


def show(rows: list[dict[str, Any]]) -> None:
    print("| seed | minutes | proposals | trials | tokens | seed score | champion | commits (gain re-measured) |")
    print("|---|---|---|---|---|---|---|---|")
    for row in rows:
        commits = "; ".join(f"{c['subject']} ({_gain(c)})" for c in row["commits"]) or "none"
        scores = [_score(row["baseline"]), _score(row["champion_score"]) if row["commits"] else "-"]
        figures = [row["seed"], row["minutes"], row["proposals"], row["trials"], row["tokens"], *scores, commits]
        print("| " + " | ".join(map(str, figures)) + " |")


def _score(estimate: dict[str, float] | None) -> str:
    return "-" if estimate is None else f"{estimate['mean']:.3f} [{estimate['low']:.3f}, {estimate['high']:.3f}]"


def _gain(commit: dict[str, Any]) -> str:
    again = commit.get("remeasured")
    return "not re-measured" if again is None else f"{again['gain']:+.3f} +- {again['half_width']:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="*", default=[1, 2, 3, 4, 5, 6])
    parser.add_argument("--runs", type=int, default=1, help="fresh pairs a task in the re-measurement; 0 leaves it out")
    parser.add_argument("--until-commits", type=int, help="end each campaign at so many commits")
    parser.add_argument("--folder", type=Path, help="clone to use (kept); default: a temporary one")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ratchet-bench-") as temporary:
        folder = args.folder or Path(temporary) / "ratchet"
        if not folder.exists():
            git(ROOT, "clone", "--quiet", str(ROOT), str(folder))
        rows = [campaign(folder, seed, args.until_commits) for seed in args.seeds]
        for row in rows:
            if args.runs:
                remeasure(folder, row, args.runs)
            with RESULTS.open("a", encoding="utf-8") as out:
                out.write(json.dumps(row) + "\n")
        show(rows)


if __name__ == "__main__":
    main()
