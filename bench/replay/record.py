"""Record the campaign that `ratchet demo --replay` repeats: run it with real models, keep what they answered.

    python -m bench.replay.record FOLDER --url http://127.0.0.1:9911/v1 --model NAME [--key-env VARIABLE]

The seed is the scaffold of this checkout and 28 tasks of the starter suite. The improver is any endpoint that speaks
Chat Completions with tools; the solver is the embedded model. The same command resumes a recording that was stopped.
At its end everything is written to recipes/replay.
"""

from __future__ import annotations

import argparse
import json
import lzma
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from agent.base.refusal import Aside
from agent.base.trust import DEFAULT_MUTABLE
from agent.base.types import Call
from agent.cli.creating import CONFIG, REPLAY
from agent.cli.options import again, load, terminal
from agent.cli.running import run_campaign
from agent.kernel.git.plumbing import IDENTITY
from agent.kernel.record.ledger import Ledger
from agent.models.ports import settled
from agent.models.providers.recorded import Answer, last_of, name_of
from agent.review.audit.outcome import outcome

ROOT = Path(__file__).parents[2]
TASKS = {"search": 8, "gate": 16, "holdout": 4}
SOLVER = {"provider": "embedded", "slots": 4, "context_window": 1024}
BESIDE = ("/runs/", f"/{CONFIG}", "/recording.yaml", "/answers.jsonl.xz")


def prepare(folder: Path, improver: dict[str, Any]) -> None:
    """A repository with the seed, and the configuration with real models beside it."""
    for name in DEFAULT_MUTABLE:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "suite").mkdir()
    (folder / "suite" / "suite.yaml").write_text(yaml.safe_dump(suite(), sort_keys=False, width=110), encoding="utf-8")
    (folder / ".gitignore").write_text("\n".join([*BESIDE, ""]), encoding="utf-8")
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "Start with the shipped scaffold")
    config = yaml.safe_load((REPLAY / CONFIG).read_text(encoding="utf-8"))
    config["models"] = {"solver": SOLVER, "improver": improver}
    config["boxes"] |= {"parallel": 4, "propose_timeout": 3000, "patience_minutes": 5}
    (folder / "recording.yaml").write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")


def suite() -> dict[str, Any]:
    """The first tasks of each split of the starter suite that are not hard."""
    whole = yaml.safe_load((ROOT / "tasks" / "starter" / "suite.yaml").read_text(encoding="utf-8"))
    easy = [task for task in whole["tasks"] if "hard" not in task["tags"]]
    tasks = [task for split, n in TASKS.items() for task in [t for t in easy if t["split"] == split][:n]]
    about = f"the first {len(tasks)} tasks of the starter suite that are not hard"
    return {**whole, "name": "starter-small", "description": about, "tasks": tasks}


def keep(folder: Path) -> None:
    """Write the recording from the ledger of a campaign that has ended."""
    with Ledger(folder / "runs" / "shown" / "ledger.sqlite", read_only=True) as ledger:
        answers = {(one.scope, one.key, one.k): one for one in answers_of(ledger.calls(last=1 << 30))}
        (REPLAY / "outcome.json").write_text(json.dumps(outcome(ledger), indent=1) + "\n", encoding="utf-8")
    lines = sorted(one.model_dump_json() for one in answers.values())
    with lzma.open(REPLAY / "answers.jsonl.xz", "wt", preset=9, encoding="utf-8") as out:
        out.writelines(f"{line}\n" for line in lines)
    git(folder, "bundle", "create", "-q", str(REPLAY / "seed.bundle"), "main")
    sys.stdout.write(f"{len(lines)} answers are recorded in {REPLAY}\n")


def answers_of(calls: Sequence[Call]) -> Iterator[Answer]:
    """What the models answered to each question of each scope."""
    for call in calls:
        if call.fresh and settled(call.status) and call.trial not in list(Aside):
            asked = json.loads(call.request)
            if asked["dialect"] != "chat":
                sys.exit(f"a call in the dialect {asked['dialect']} cannot be recorded: only chat is replayed")
            scope, key, k = name_of(call.trial, call.answer_scope, call.key, call.k, asked)
            answer = json.loads(call.response)
            yield Answer(scope=scope, key=key, k=k, status=call.status, asked=last_of(asked), answer=answer)


def git(folder: Path, *arguments: str) -> None:
    who = ("-c", f"user.name={IDENTITY[0]}", "-c", f"user.email={IDENTITY[1]}")
    subprocess.run(["git", "-C", str(folder), *who, *arguments], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the campaign runs; kept, and resumed if it is there")
    parser.add_argument("--url", required=True, help="the improver's endpoint")
    parser.add_argument("--model", required=True, help="the improver's model")
    parser.add_argument("--key-env", help="the environment variable with the key, if the endpoint wants one")
    args = parser.parse_args()
    key = {"api_key_env": args.key_env} if args.key_env else {}
    window = {"context_window": 200_000, "max_output": 16_384, "timeout": 2900}
    improver = {"provider": "openai", "model": args.model, "base_url": args.url, **window, **key}
    if not (args.folder / "recording.yaml").exists():
        prepare(args.folder, improver)
    path = args.folder / "recording.yaml"
    code = run_campaign(load(path, {}), partial(again, path=path), partial(again, path=path.absolute()), terminal())
    if code == 0:
        keep(args.folder)
    sys.exit(code)


if __name__ == "__main__":
    main()
