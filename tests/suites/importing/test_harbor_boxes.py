"""Harbor tasks in real boxes: each shape is solved by its own script, and proven."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from agent.base.errors import UserError
from agent.cli.importing import solve_references
from agent.cli.suites import prove_suite
from agent.suites.importing.draft import OWN_IMAGE, Options
from agent.suites.importing.run import import_suite
from agent.suites.loader import load_suite
from agent.suites.quarantine import quarantined
from tests.suites.importing.shapes import ANSWER, COPIED, HEAD, SEPARATE, TASK, TEMPLATE

pytestmark = [pytest.mark.docker, pytest.mark.slow]
QUIET = Console(quiet=True)
DOCKERFILE = "environment/Dockerfile"
VERDICT = "if [ $RET -eq 0 ]; then echo {} > /logs/verifier/reward.txt; else echo {} > /logs/verifier/reward.txt; fi\n"
SHAPES: dict[str, dict[str, str]] = {
    "plain": TASK,
    "logs": TASK | {DOCKERFILE: "FROM a\nWORKDIR /app\nRUN mkdir -p /logs/verifier /tests\n"},
    "folder": TASK
    | {
        DOCKERFILE: "FROM a\nWORKDIR /app\nRUN mkdir -p /app/scripts\n",
        "solution/solve.sh": "cp /dev/null scripts/a && printf 42 > /app/answer.txt\n",
    },
    "template": TEMPLATE,
    "copied": COPIED,
    "copied-to-a-machine": COPIED | {DOCKERFILE: "FROM a\nWORKDIR /app\nCOPY . /app\nRUN git init\n"},
    "separate": SEPARATE,
    "baked": TASK
    | {
        DOCKERFILE: (
            "FROM a\nCOPY conf /etc/conf\nWORKDIR /app\nCOPY make.sh data.txt ./\n"
            "RUN bash make.sh && wc -c /app/*.txt > /etc/size\n"
        ),
        "environment/conf/a b": "x'$HOME\n",
        "environment/make.sh": "cat data.txt > /etc/made\n",
        "environment/data.txt": "d\n" * 20_000,
        "tests/test.sh": (
            'set -e\ncmp /etc/made data.txt\n[ "$(cat \'/etc/conf/a b\')" = "x\'\\$HOME" ]\ngrep -q 40000 /etc/size\n'
            '[ $(cat answer.txt) = 42 ]\necho \'{"reward": 1, "speed": 7}\' > /logs/verifier/reward.json\n'
        ),
    },
    "left": TASK
    | {
        DOCKERFILE: (
            "FROM a\nWORKDIR /app\nCOPY make.sh data.txt gone.txt ./\nRUN mkdir out && bash make.sh && rm gone.txt\n"
        ),
        "environment/make.sh": "echo more >> data.txt; seq 3 > out/numbers\n",
        "environment/data.txt": "some\n",
        "environment/gone.txt": "gone\n",
        "solution/solve.sh": "test ! -e gone.txt && [ $(wc -l < data.txt) = 2 ] && head -3 out/numbers > answer.txt\n",
        "tests/test.sh": (
            "[ ! -e gone.txt ] && [ $(wc -l < data.txt) = 2 ] && cmp answer.txt out/numbers && R=1 || R=0\n"
            "echo $R > /logs/verifier/reward.txt\n"
        ),
    },
    "home": TASK
    | {
        DOCKERFILE: "FROM a\nWORKDIR /root\n",
        "solution/solve.sh": "printf 42 > /root/answer.txt\n",
        "tests/test.sh": TASK["tests/test.sh"].replace("/app", "/root"),
    },
    "rescaled": TASK
    | {
        "task.toml": f"{HEAD}[metadata]\nreward_range = [-1, 3]\n[solution.env]\nMORE = '/solution/more.txt'\n",
        "solution/solve.sh": '#!/bin/bash\ncat "$MORE" > /app/answer.txt\n',
        "solution/more.txt": "42",
        "tests/test.sh": (
            f'#!/bin/bash\nTEST_DIR="${{TEST_DIR:-/tests}}"\ntrap "echo done" EXIT\n{ANSWER}\nRET=$?\n'
            f"{VERDICT.format(3, -1)}exit $RET\n"
        ),
    },
    "fetching": TASK
    | {
        "tests/test.sh": (
            "#!/bin/bash\nset -e\napt-get update -qq\napt-get install -y -qq curl\n"
            'curl -LsSf https://astral.sh/uv/install.sh | sh\nsource "$HOME/.local/bin/env"\nset +e\n'
            "uvx --with pytest==8.4.1 --with pytest-json-ctrf==0.3.5 pytest --ctrf /logs/verifier/ctrf.json --tb=short "
            f"/tests/test_a.py\nRET=$?\n{VERDICT.format(1, 0)}"
        ),
        "tests/test_a.py": "def test_a():\n    assert open('/app/answer.txt').read() == '42'\n",
    },
}


def test_a_task_whose_image_cannot_be_built_goes_into_quarantine(plant: Any, under: Any) -> None:
    broken = TASK | {DOCKERFILE: "FROM a\nWORKDIR /app\nRUN exit 3\n", "instruction.md": "Fail.\n"}
    repository = TASK | {DOCKERFILE: "FROM a\nWORKDIR /app\nRUN git init\n", "instruction.md": "Commit.\n"}
    source: Path = plant(under("good", TASK) | under("broken", broken) | under("git", repository))

    def prepare(suite: Path) -> None:
        assert [one.task for one in solve_references(suite, OWN_IMAGE, 2, QUIET)] == ["good"]

    dest = source.parent / "suite"
    import_suite("harbor", source, dest, options=Options(image=OWN_IMAGE), prepare=prepare)
    assert load_suite(dest).quarantined == ("broken",)
    assert [task.id for task in load_suite(dest).tasks if task.whole] == ["git"], "its repository is the machine's"
    assert "the layer `RUN exit 3` failed" in quarantined(dest)["broken"]


def test_the_agents_user_solves_a_machine_and_cannot_do_more_than_that_user(plant: Any) -> None:
    source: Path = plant(
        TASK
        | {
            "task.toml": HEAD.replace("[agent]", "[agent]\nuser = 'worker'"),
            "instruction.md": "Write your name to /app/who.\n",
            DOCKERFILE: "FROM a\nRUN useradd -m worker && mkdir /app && chown worker /app\nWORKDIR /app\n",
            "solution/solve.sh": "touch /etc/mine || (id -un; echo $HOME) > who\n",
            "tests/test.sh": (
                "[ $(id -u) = 0 ] && [ \"$(cat who | tr '\\n' ' ')\" = 'worker /home/worker ' ] && R=1 || R=0\n"
                "echo $R > /logs/verifier/reward.txt\n"
            ),
        }
    )
    dest = import_suite("harbor", source, source.parent / "suite", options=Options(image=OWN_IMAGE)).dest
    suite = load_suite(dest)
    assert [task.solve_as for task in suite.tasks] == ["worker"]
    (proof,) = asyncio.run(prove_suite(suite, 1, None, QUIET))
    assert proof.findings == ()


def test_hidden_tests_of_a_machine_are_for_root_alone_and_its_scripts_can_be_run(plant: Any) -> None:
    """People lock their tests away from the programs that they try, and make their scripts runnable."""
    source: Path = plant(
        TASK
        | {
            DOCKERFILE: "FROM a\nWORKDIR /root/work\nRUN git init\n",
            "solution/solve.sh": "printf 42 > answer.txt\n",
            "tests/compare.sh": "#!/bin/sh\n[ $(cat answer.txt) = 42 ]\n",
            "tests/locked.py": (
                "import subprocess\nsaid = subprocess.run(['cat', '/tests/compare.sh'], user='nobody')\n"
                "raise SystemExit(said.returncode == 0)\n"
            ),
            "tests/test.sh": (
                "set -e\necho 0 > /logs/verifier/reward.txt\nchmod -R go-rwx /tests\nchmod +x /tests/compare.sh\n"
                "/tests/compare.sh\npython3 /tests/locked.py\necho 1 > /logs/verifier/reward.txt\n"
            ),
        }
    )
    dest = import_suite("harbor", source, source.parent / "suite", options=Options(image=OWN_IMAGE)).dest
    (proof,) = asyncio.run(prove_suite(load_suite(dest), 1, None, QUIET))
    assert proof.findings == ()


def test_a_set_without_any_image_names_the_first_reason(plant: Any, under: Any) -> None:
    source: Path = plant(under("broken", TASK | {DOCKERFILE: "FROM a\nWORKDIR /app\nRUN exit 3\n"}))
    with pytest.raises(UserError, match=r"--solve: task broken: the layer `RUN exit 3` failed"):
        import_suite(
            "harbor",
            source,
            source.parent / "suite",
            options=Options(image=OWN_IMAGE),
            prepare=lambda suite: solve_references(suite, OWN_IMAGE, 2, QUIET) and None,
        )
    assert not (source.parent / "suite").exists()


def test_every_shape_is_solved_by_its_script_and_proven(plant: Any, under: Any) -> None:
    trees: dict[str, str] = {}
    for name, files in SHAPES.items():
        trees |= under(name, files | {"instruction.md": f"{name}: {files['instruction.md']}"})
    source: Path = plant(trees)

    def prepare(suite: Path) -> None:
        solved = solve_references(suite, OWN_IMAGE, 2, QUIET)
        assert {one.task: one.problem for one in solved} == dict.fromkeys(
            SHAPES.keys() - {"baked", "left", "copied-to-a-machine"}
        )

    dest = import_suite("harbor", source, source.parent / "suite", options=Options(image=OWN_IMAGE), prepare=prepare)
    proofs = asyncio.run(prove_suite(load_suite(dest.dest), 1, None, QUIET))
    assert {proof.task.id: proof.findings for proof in proofs} == dict.fromkeys(SHAPES, ())
