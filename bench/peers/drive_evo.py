"""evo (package `evo-hq-cli`): its command line, used as its own loop does: a child of the best committed experiment.

It decides by itself what it commits. It runs the benchmark in the repository, not in the experiment's worktree, and
names the program of the worktree for `{target}`. Its dashboard is stopped at once, and its telemetry is off.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.peers.driving import Pick, Run, drive
from bench.peers.world import TASKS, ids_of, program

ROOT = Path(__file__).parents[2]
EVO = Path(sys.executable).with_name("evo")
BENCHMARK = """\
import json, random, sys
sys.path.insert(0, {root!r})
from bench.peers.world import TASKS, World, ids_of

chances = World({world!r}, {seed}).chances(ids_of(open(sys.argv[1]).read()))
print(json.dumps({{"score": sum(random.random() < chance for chance in chances) / TASKS, "tasks": {{}}}}))
"""


class Workspace:
    """A repository under evo."""

    def __init__(self, run: Run, home: Path) -> None:
        self._folder, self._home = home / "repo", home
        self._folder.mkdir()
        text = BENCHMARK.format(root=str(ROOT), world=run.world.name, seed=run.world.seed)
        (self._folder / "benchmark.py").write_text(text)
        (self._folder / "program.py").write_text(f"{program([])}\n")
        for command in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-qm", "Start"]):
            self._do("git", "-c", "user.name=bench", "-c", "user.email=bench@example.org", *command)
        said = self.evo(
            "init", "--target", "program.py", "--benchmark", f"{sys.executable} benchmark.py {{target}}",
            "--metric", "max", "--host", "generic", "--per-exp-timeout", "600", "--instrumentation-mode", "inline",
        )  # fmt: skip
        if dashboard := re.search(r"supervisor pid (\d+)", said):
            os.kill(int(dashboard[1]), signal.SIGTERM)

    def evo(self, *arguments: str) -> str:
        return self._do(str(EVO), *arguments)

    def _do(self, *command: str) -> str:
        identity = {
            f"GIT_{who}_{what}": "bench@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
        }
        env = {**os.environ, **identity, "HOME": str(self._home), "DO_NOT_TRACK": "1", "EVO_SKIP_VERSION_CHECK": "1"}
        env["EVO_TELEMETRY"] = "0"
        done = subprocess.run(command, cwd=self._folder, env=env, capture_output=True, text=True, check=True)
        return done.stdout + done.stderr

    def graph(self) -> dict[str, Any]:
        """Every experiment by its id."""
        [file] = self._folder.glob(".evo/*/graph.json")
        nodes: dict[str, Any] = json.loads(file.read_text())["nodes"]
        return nodes


def search(run: Run) -> Pick:
    with tempfile.TemporaryDirectory(prefix="peers-") as home:
        workspace = Workspace(run, Path(home))
        _experiment(workspace, run, "root", [])
        best = _best(workspace)
        while run.left(TASKS):
            parent = best["id"]
            made = run.deal(ids_of((Path(best["worktree"]) / "program.py").read_text()))
            _experiment(workspace, run, parent, made)
            best = _best(workspace)
        kept = sum(node["status"] == "committed" for node in workspace.graph().values()) - 1
        return Pick(ids_of((Path(best["worktree"]) / "program.py").read_text()), best["score"], kept)


def _experiment(workspace: Workspace, run: Run, parent: str, ids: list[int]) -> None:
    """One child: made, changed, run; one that is not committed is discarded."""
    said = workspace.evo("new", "--parent", parent, "-m", f"patch {ids[-1:]}")
    node, _ = json.JSONDecoder().raw_decode(said[said.index("{") :])
    Path(node["target"]).write_text(f"{program(ids)}\n")
    run.used += TASKS
    if "COMMITTED" not in workspace.evo("run", node["id"]):
        workspace.evo("discard", node["id"], "--reason", "not better")


def _best(workspace: Workspace) -> dict[str, Any]:
    committed = [node for node in workspace.graph().values() if node["status"] == "committed"]
    best: dict[str, Any] = max(committed, key=lambda node: node["score"])
    return best


if __name__ == "__main__":
    drive("evo", search)
