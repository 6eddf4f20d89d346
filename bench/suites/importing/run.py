"""How long it takes to import many tasks of a format, and to find that nothing has changed.

python bench/suites/importing/run.py [--kind exercism] [--tasks 1000] [--rounds 3]      needs no network and no engine
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
import time
from pathlib import Path

from agent.suites.importing.draft import Options
from agent.suites.importing.run import import_suite

TESTS = 12
HARBOR = """schema_version = "1.1"
artifacts = []

[task]
name = "bench/task-{number}"
description = "One of many."
authors = [{{ name = "A", email = "a@example.org" }}]
keywords = ["files", "text"]

[metadata]
author_name = "A"
difficulty = "easy"
category = "file-operations"

[verifier]
timeout_sec = 900.0
[verifier.env]

[agent]
timeout_sec = 900.0

[environment]
build_timeout_sec = 600.0
cpus = 1
memory_mb = 2048
storage_mb = 10240
gpus = 0
allow_internet = true
mcp_servers = []
[environment.env]

[solution.env]
"""
SETUP = """#!/bin/bash
apt-get update -qq
apt-get install -y curl
curl -LsSf https://astral.sh/uv/0.9.5/install.sh | sh
source $HOME/.local/bin/env
"""
VERDICT = """if [ $? -eq 0 ]; then
  echo 1 > /logs/verifier/reward.txt
else
  echo 0 > /logs/verifier/reward.txt
fi
"""
RUNS = (
    f"{SETUP}uvx -p 3.13 -w pytest==8.4.1 -w pytest-json-ctrf==0.3.5 \\\n"
    "  pytest --ctrf /logs/verifier/ctrf.json /tests/test_outputs.py -rA\n\n"
    f"{VERDICT}@@{SETUP}uvx -w numpy -w pytest==8.4.1 pytest --tb=short /tests/test_outputs.py\nRET=$?\n"
    "[ $RET -eq 0 ] && echo 1 > /logs/verifier/reward.txt; exit $RET\n"
    "@@#!/bin/bash\nmkdir -p /logs/verifier\npython3 -m pytest /tests/test_outputs.py && R=1 || R=0\n"
    "echo $R > /logs/verifier/reward.txt\n"
).split("@@")
"""Test scripts in three of the forms that people publish."""


def plant(root: Path, number: int) -> None:
    """One exercise with the nine files, of about the size, that a Python exercise of Exercism has."""
    name = f"exercise_{number}"
    here = root / "exercises" / "practice" / f"exercise-{number}"
    for folder in (".docs", ".meta"):
        (here / folder).mkdir(parents=True)
    roles = {"solution": [f"{name}.py"], "test": [f"{name}_test.py"], "example": [".meta/example.py"]}
    config = {"authors": ["a"], "contributors": ["b", "c"], "files": roles, "blurb": f"Exercise {number}."}
    cases = "".join(
        f"\n    def test_case_{case}(self):\n        self.assertEqual(answer({case}), {case * number})\n"
        for case in range(TESTS)
    )
    files = {
        ".meta/config.json": json.dumps(config, indent=2),
        ".meta/example.py": f"def answer(n):\n    return n * {number}\n",
        ".meta/tests.toml": "".join(f'[case-{case}]\ndescription = "case {case}"\n\n' for case in range(TESTS)),
        ".meta/template.j2": "{% for case in cases %}\n{{ case }}\n{% endfor %}\n",
        ".docs/introduction.md": "# Introduction\n\n" + "Some words that lead to the question.\n" * 10,
        ".docs/instructions.md": f"# Instructions\n\nMultiply by {number}.\n" + "More words about it.\n" * 20,
        ".docs/hints.md": "## General\n\n- Think.\n",
        f"{name}.py": "def answer(n):\n    pass\n",
        f"{name}_test.py": f"import unittest\n\nfrom {name} import answer\n\n\nclass T(unittest.TestCase):{cases}",
    }
    for path, text in files.items():
        (here / path).write_text(text, encoding="utf-8")


def plant_harbor(root: Path, number: int) -> None:
    """One Harbor task with the files, of about the size, that Terminal-Bench 2.1 has."""
    here = root / f"task-{number}"
    cases = "".join(
        f"\n\ndef test_case_{case}():\n    assert (OUT / '{case}.txt').read_text().strip() == '{case * number}'\n"
        for case in range(TESTS)
    )
    files = {
        "task.toml": HARBOR.format(number=number),
        "instruction.md": f"Write products of {number} to /app/out.\n" + "More words about it.\n" * 20,
        "environment/Dockerfile": (
            "FROM python:3.12-slim\nRUN apt-get update && apt-get install -y jq && mkdir -p /logs/verifier\n"
            "WORKDIR /app\nCOPY data/ ./data/\nCOPY tool.sh /usr/local/bin/tool\nRUN chmod +x /usr/local/bin/tool\n"
        ),
        "environment/data/numbers.csv": "".join(f"{line},{line * number}\n" for line in range(200)),
        "environment/tool.sh": "#!/bin/bash\necho tool\n",
        "solution/solve.sh": f"#!/bin/bash\nmkdir -p /app/out\nfor n in $(seq 0 11); do echo $((n * {number})); done\n",
        "tests/test.sh": RUNS[number % len(RUNS)],
        "tests/test_outputs.py": f"from pathlib import Path\n\nOUT = Path('/app/out')\n{cases}",
    }
    for path, text in files.items():
        (here / path).parent.mkdir(parents=True, exist_ok=True)
        (here / path).write_text(text, encoding="utf-8")


PLANTS = {"exercism": plant, "harbor": plant_harbor}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kind", choices=sorted(PLANTS), default="exercism")
    parser.add_argument("--tasks", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    said = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "track"
        for number in range(said.tasks):
            PLANTS[said.kind](source, number)
        for turn in range(said.rounds):
            dest = Path(folder) / f"suite-{turn}"
            for what in ("import", "import again"):
                wall, cpu = time.perf_counter(), time.process_time()
                report = import_suite(said.kind, source, dest, options=Options())
                wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
                if (report.taken, report.changed) != (said.tasks, what == "import"):
                    raise SystemExit(f"{what}: {report.taken} tasks taken, changed: {report.changed}")
                print(f"{what:12} {report.taken} tasks: {wall:.2f} s wall, {cpu:.2f} s of processor")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory {peak:.0f} MiB; load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
