"""How long it takes to import many Exercism-shaped tasks, and to find that nothing has changed.

python bench/suites/importing/run.py [--tasks 1000] [--rounds 3]      needs no network and no engine
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


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tasks", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    said = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "track"
        for number in range(said.tasks):
            plant(source, number)
        for turn in range(said.rounds):
            dest = Path(folder) / f"suite-{turn}"
            for what in ("import", "import again"):
                wall, cpu = time.perf_counter(), time.process_time()
                report = import_suite("exercism", source, dest, options=Options())
                wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
                if (report.taken, report.changed) != (said.tasks, what == "import"):
                    raise SystemExit(f"{what}: {report.taken} tasks taken, changed: {report.changed}")
                print(f"{what:12} {report.taken} tasks: {wall:.2f} s wall, {cpu:.2f} s of processor")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory {peak:.0f} MiB; load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
