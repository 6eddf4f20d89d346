"""A whole campaign in real boxes whose scaffold is built before it runs, and whose improver is another program.

The scaffold lies at the top of its repository, is started by an executable script and runs compiled bytecode; no model
is asked. The improver reads the archive with git, leaves a large folder behind, and adds an executable file.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from agent.kernel.record.ledger import Ledger
from tests.agreed import task
from tests.cli.test_init import git, ratchet

pytestmark = [pytest.mark.docker, pytest.mark.slow]

SOLVE = '''"""The agent."""

from pathlib import Path

ANSWER = "wrong"
Path("solution.txt").write_text(ANSWER)
print("Python below", Path(__file__).suffix)
'''
IMPROVER = r"""
import json, pathlib, subprocess
run = lambda *words: subprocess.run(words, check=True, capture_output=True, text=True).stdout
print("log:", run("git", "log", "--format=%s"))
assert run("git", "status", "--porcelain") == "", "the work tree is clean"
assert not pathlib.Path("tests").exists(), "frozen paths are not shown"
assert json.loads(pathlib.Path("/task/context/brief.json").read_text())
assert pathlib.Path("/task/instruction.md").read_text().startswith("# Improve an agent")
known = pathlib.Path("/task/context/campaign.md").read_text()
assert "/scaffold/bin/solve" in known and "compileall" in known and "tests, tools" in known
solve = pathlib.Path("src/solve.py")
solve.write_text(solve.read_text().replace('"wrong"', '"right"'))
for n in range(2000):
    path = pathlib.Path(f"node_modules/p{n}/index.js")
    path.parent.mkdir(parents=True)
    path.write_text("x")
pathlib.Path("node_modules/.bin").symlink_to("/usr/bin")
extra = pathlib.Path("bin/extra")
extra.write_text("#!/bin/sh\n")
extra.chmod(0o755)
pathlib.Path("PATCH.md").write_text("Give the right answer\n\nIt was wrong.\n")
print("diff:", run("git", "diff", "--stat"))
"""


def write(folder: Path, files: dict[str, str]) -> Path:
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder


def campaign(**scaffold: object) -> dict[str, object]:
    model = {"provider": "scripted", "script": "script.yaml"}
    return {
        "name": "other",
        "suite": "suite",
        "models": {"solver": model, "improver": model},
        "scaffold": {
            "mutable": ["."],
            "frozen": ["tests", "tools", "suite", "campaign.yaml", "script.yaml"],
            "command": ["/scaffold/bin/solve"],
            "prepare": ["python3", "-m", "compileall", "-q", "-b", "src"],
            **scaffold,
        },
        "improve": {"command": ["python3", "-P", "/scaffold/tools/improver.py"], "include": ["tools"]},
        "search": {"min_trials": 2, "min_z": 0},
        "gate_options": {"share": 1.0, "same_pairs": 0},
        "budget": {"trials": 3000, "hours": 0.5, "commits": 1},
        "boxes": {"parallel": 2, "starved": 1, "canary": 0},
    }


def repository(folder: Path, config: dict[str, object], script: str = '{"rules": [{"reply": "ready"}]}') -> Path:
    agreed = {"file": "solution.txt", "holds": "right"}
    splits = ("search", "gate", "holdout")
    tasks = [task(n, split, **agreed, deterministic=split == "gate") for split in splits for n in range(2)]
    suite = {"name": "right", "tasks": tasks}
    write(
        folder,
        {
            "src/solve.py": SOLVE,
            "bin/solve": "#!/bin/sh\nexec python3 -P /scaffold/src/solve.pyc\n",
            "tests/secret.py": "hidden = 1\n",
            "tools/improver.py": IMPROVER,
            "suite/suite.yaml": json.dumps(suite),
            "script.yaml": script,
            "campaign.yaml": json.dumps(config),
        },
    )
    (folder / "bin/solve").chmod(0o755)
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "-c", "user.name=u", "-c", "user.email=u@x", "commit", "-qm", "start")
    return folder


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = repository(tmp_path_factory.mktemp("other"), campaign())
    done = ratchet(folder, "run", seconds=900)
    (folder / "run.log").write_text(done.stdout + done.stderr)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def ledger(home: Path) -> Ledger:
    return Ledger(home / "runs/other/ledger.sqlite", read_only=True)


def test_its_patch_is_committed_with_its_name_and_modes(home: Path) -> None:
    message = git(home, "log", "-1", "--format=%B", "ratchet/other")
    assert message.startswith("Give the right answer\n\nIt was wrong.")
    assert "Ratchet-Improver: python3 -P /scaffold/tools/improver.py" in message
    listed = re.findall(r"(?m)^(\d+) \w+ \w+\t(.*)$", git(home, "ls-tree", "-r", "ratchet/other"))
    modes = {path: mode for mode, path in listed}
    assert modes["bin/solve"] == modes["bin/extra"] == "100755"
    assert modes["src/solve.py"] == "100644"
    assert not any("pyc" in path or path.startswith(("node_modules", "PATCH")) for path in modes)


def test_it_worked_in_a_repository_and_its_leftovers_are_named(home: Path) -> None:
    with ledger(home) as record:
        _, said = record.candidate_texts(1)
    assert "log: seed" in said
    assert "src/solve.py" in said
    assert "[ignored outside the mutable paths: `node_modules/`]" in said


def test_what_runs_is_the_built_scaffold(home: Path) -> None:
    with ledger(home) as record:
        trials = record.trials(candidate=1)
        noted = [text for _, _, kind, text in record.events() if kind == "sabotage"]
    assert trials
    assert all("Python below .pyc" in trial.transcript for trial in trials)
    assert len(list((home / "runs/other/prepared").iterdir())) >= 2
    assert len(noted) == 1
    assert "prepare failed" in noted[0], "the broken seed does not compile"


def test_the_summary_and_the_report_say_who_wrote_the_patches(home: Path) -> None:
    said = " ".join((home / "run.log").read_text().split())
    assert "patches were written by python3 -P /scaffold/tools/improver.py, not by the scaffold" in said
    assert ratchet(home, "report").returncode == 0
    assert "not by the scaffold itself" in (home / "runs/other/report.html").read_text()


def test_a_resumed_campaign_breaks_no_seed_again(home: Path) -> None:
    assert ratchet(home, "run", "--name", "other", seconds=300).returncode == 0
    with ledger(home) as record:
        assert [kind for _, _, kind, _ in record.events()].count("sabotage") == 1


REWRITE = """I change it.
```sh
sed -i 's/"wrong"/"right"/' src/solve.py
printf 'Give the right answer\\n\\nIt was wrong.\\n' > PATCH.md
git diff --stat
```
"""


def test_an_agent_with_a_recipe_improves_another_one_through_the_gateway(tmp_path: Path) -> None:
    rules = [{"match": "exit code 0", "reply": "Done."}, {"match": "Improve an agent", "reply": REWRITE}]
    script = json.dumps({"rules": [*rules, {"reply": "ready"}]})
    folder = repository(tmp_path, {**campaign(), "improve": {"recipe": "shell"}}, script=script)
    done = ratchet(folder, "run", seconds=1200)
    assert done.returncode == 0, done.stdout + done.stderr
    message = git(folder, "log", "-1", "--format=%B", "ratchet/other")
    assert message.startswith("Give the right answer")
    assert "Ratchet-Improver: the recipe shell" in message
    with ledger(folder) as record:
        assert "src/solve.py | 2 +-" in record.candidate_texts(1)[1]
        assert record.spent("improver").fresh_calls > 1


HIDDEN = 'RUN mkdir -p /opt/agent && printf \'open("solution.txt", "w").write("right")\' > /opt/agent/solve.py'


@pytest.mark.parametrize(
    ("scaffold", "said"),
    [
        ({"command": ["python3", "/opt/agent/solve.py"], "build": [HIDDEN], "prepare": []}, "still scored 1 on task"),
        ({"build": ["RUN mkdir -p /scaffold/src"], "prepare": []}, "does not reach /scaffold in a box"),
        (
            {"prepare": ["sh", "-c", "echo no compiler; exit 3"]},
            "prepare failed: exit code 3: no compiler",
        ),
    ],
)
def test_a_campaign_whose_candidates_do_not_run_is_refused(
    tmp_path: Path, scaffold: dict[str, object], said: str
) -> None:
    folder = repository(tmp_path, campaign(**scaffold))
    done = ratchet(folder, "run", seconds=600)
    assert done.returncode == 2, done.stdout + done.stderr
    assert said in " ".join((done.stdout + done.stderr).split())
