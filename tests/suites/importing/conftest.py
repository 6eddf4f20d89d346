"""Small task sets in each format, written for these tests in the layouts that the formats document."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from agent.suites.importing.draft import Options
from agent.suites.importing.run import Imported, import_suite
from agent.suites.importing.write import NothingTaken
from agent.suites.loader import load_suite

Plant = Callable[[Mapping[str, str]], Path]
Rows = Callable[..., Path]


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    """Writes files below a folder `source`, and gives that folder."""
    root = tmp_path / "source"

    def write(files: Mapping[str, str]) -> Path:
        for path, text in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text, encoding="utf-8")
        return root

    return write


@pytest.fixture
def rows(tmp_path: Path) -> Rows:
    """Writes objects as a JSONL file."""

    def write(*objects: object, name: str = "set.jsonl") -> Path:
        path = tmp_path / name
        path.write_text("".join(json.dumps(item) + "\n" for item in objects), encoding="utf-8")
        return path

    return write


@pytest.fixture
def human() -> dict[str, object]:
    """A row as HumanEval has them; its test uses a helper of the prompt."""
    return {
        "task_id": "Human/7",
        "prompt": 'def twice(x):\n    """Helper."""\n    return 2 * x\n\n\ndef four(x):\n    """Four times x."""\n',
        "entry_point": "four",
        "canonical_solution": "    return twice(twice(x))\n",
        "test": "def check(candidate):\n    assert candidate(3) == twice(6)\n    assert candidate((1,)) == (1,) * 4\n",
    }


@pytest.fixture
def mbpp() -> dict[str, object]:
    """A row as MBPP has them."""
    return {
        "task_id": 11,
        "text": "Write a function that adds the first n odd numbers.",
        "code": "import math\r\ndef odds(n):\r\n    return int(math.pow(n, 2))",
        "test_setup_code": "",
        "test_list": ["assert odds(1) == 1", "assert odds(4) == 16"],
        "challenge_test_list": [],
    }


EXERCISE = {
    ".meta/config.json": json.dumps(
        {
            "authors": ["someone"],
            "files": {"solution": ["purse.py"], "test": ["purse_test.py"], "example": [".meta/example.py"]},
            "blurb": "Count coins.",
        }
    ),
    ".meta/example.py": "def total(coins):\n    return sum(coins)\n",
    ".docs/introduction.md": "# Introduction\n\nA purse holds coins.\n",
    ".docs/instructions.md": "# Instructions\n\nWrite `total(coins)`, what all coins are worth.\n",
    ".docs/instructions.append.md": "# Append\n\nNo coins are worth 0.\n",
    "purse.py": "def total(coins):\n    pass\n",
    "purse_test.py": (
        "import unittest\n\nfrom purse import total\n\n\nclass PurseTest(unittest.TestCase):\n"
        "    def test_empty(self):\n        self.assertEqual(total([]), 0)\n\n"
        "    def test_some(self):\n        self.assertEqual(total([1, 5]), 6)\n"
    ),
}

HARBOR = {
    "task.toml": (
        'version = "1.0"\n\n[metadata]\nauthor_name = "someone"\ndifficulty = "easy"\ntags = ["files"]\n'
        "[verifier]\ntimeout_sec = 30.0\n[agent]\ntimeout_sec = 90.0\n"
        '[environment]\nbuild_timeout_sec = 600.0\ncpus = 1\nmemory = "512M"\nstorage = "10G"\n'
    ),
    "instruction.md": "Write the number of lines of `/app/log.txt` into `/app/count.txt`.\n",
    "environment/Dockerfile": "FROM ubuntu:24.04\n\n# the place to work\nWORKDIR /app\nCOPY log.txt ./\n",
    "environment/log.txt": "one\ntwo\nthree\n",
    "solution/solve.sh": "#!/bin/bash\nwc -l < /app/log.txt > /app/count.txt\n",
    "tests/test.sh": (
        "#!/bin/bash\n\napt-get update\napt-get install -y curl\n\n"
        "curl -LsSf https://astral.sh/uv/0.9.7/install.sh | sh\nsource $HOME/.local/bin/env\n\n"
        'if [ "$PWD" = "/" ]; then\n    echo "no working directory"\n    exit 1\nfi\n\n'
        "uvx \\\n  -p 3.13 \\\n  -w pytest==8.4.1 \\\n  -w pytest-json-ctrf==0.3.5 \\\n"
        "  pytest --ctrf /logs/verifier/ctrf.json /tests/test_state.py -rA\n\n"
        "if [ $? -eq 0 ]; then\n  echo 1 > /logs/verifier/reward.txt\nelse\n"
        "  echo 0 > /logs/verifier/reward.txt\nfi\n"
    ),
    "tests/test_state.py": (
        "from pathlib import Path\n\nCOUNT = Path('/app/count.txt')\n\n\n"
        "def test_there():\n    assert COUNT.is_file()\n\n\n"
        "def test_right():\n    assert COUNT.read_text().split() == ['3']\n"
    ),
}

REWARDED = HARBOR | {
    "tests/test.sh": (
        "#!/bin/bash\ntr -d ' \\n' < /app/count.txt > /tmp/count\nif diff -q /tmp/count /tests/expected; then\n"
        "  echo '{\"reward\": 1.0}' > /logs/verifier/reward.json\nelse\n"
        "  echo '{\"reward\": 0.0}' > /logs/verifier/reward.json\nfi\n"
    ),
    "tests/expected": "3",
}

TERMINAL = {
    "task.yaml": (
        "instruction: |-\n  Write the word count of /app/words.txt to /app/count.txt.\nauthor_name: someone\n"
        "author_email: unknown\ndifficulty: easy\ncategory: file-operations\ntags:\n  - files\nparser_name: pytest\n"
        "max_agent_timeout_sec: 180.0\nmax_test_timeout_sec: 40.0\nrun_tests_in_same_shell: false\n"
    ),
    "Dockerfile": "FROM ubuntu:24.04\nWORKDIR /app\nCOPY words.txt /app/words.txt\n",
    "docker-compose.yaml": (
        "services:\n  client:\n    build:\n      dockerfile: Dockerfile\n"
        "    image: ${T_BENCH_TASK_DOCKER_CLIENT_IMAGE_NAME}\n"
        '    command: [ "sh", "-c", "sleep infinity" ]\n    environment:\n      - TEST_DIR=${T_BENCH_TEST_DIR}\n'
        "    volumes:\n      - ${T_BENCH_TASK_LOGS_PATH}:${T_BENCH_CONTAINER_LOGS_PATH}\n"
    ),
    "words.txt": "a b c\n",
    "run-tests.sh": "#!/bin/bash\nsource $TEST_DIR/setup-uv-pytest.sh\nbash $TEST_DIR/run-uv-pytest.sh\n",
    "solution.sh": "#!/bin/bash\nwc -w < words.txt > count.txt\n",
    "tests/test_outputs.py": "def test_count():\n    assert open('/app/count.txt').read().split() == ['3']\n",
}

PLAIN = {
    "README.md": "Fix `add` in `sums.py`.\n",
    "sums.py": "def add(a, b):\n    return a - b\n",
    "tests/test_sums.py": "import sums\n\n\ndef test_add():\n    assert sums.add(1, 2) == 3\n",
    "solution/sums.py": "def add(a, b):\n    return a + b\n",
}


@pytest.fixture
def formats() -> dict[str, dict[str, str]]:
    """One task of each format that is a folder, by the kind of its importer."""
    return {
        "exercism": EXERCISE,
        "harbor": HARBOR,
        "rewarded": REWARDED,
        "terminal-bench": TERMINAL,
        "pytest": PLAIN,
    }


@pytest.fixture
def under() -> Callable[[str, Mapping[str, str]], dict[str, str]]:
    """The same files below a folder."""
    return lambda folder, files: {f"{folder}/{path}": text for path, text in files.items()}


def _imported(source: Path, **options: Any) -> Imported:
    dest = source.parent / f"suite{len(list(source.parent.iterdir()))}"
    return import_suite("harbor", source, dest, options=Options(**options))


@pytest.fixture
def taken(plant: Any, under: Any) -> Any:
    """Imports a Harbor task, some of its files replaced; gives the task and its remarks."""

    def bring(base: dict[str, str], changes: dict[str, str | None] | None = None, **options: Any) -> Any:
        files = {path: text for path, text in (base | (changes or {})).items() if text is not None}
        report = _imported(plant(under("one", files)), **options)
        (task,) = load_suite(report.dest).tasks
        (kept,) = json.loads((report.dest / "import.json").read_text())["taken"]
        return task, kept.get("remarks", [])

    return bring


@pytest.fixture
def refused(plant: Any, under: Any) -> Any:
    """The reason for which a Harbor task is refused, some of its files replaced."""

    def bring(base: dict[str, str], changes: dict[str, str]) -> str:
        with pytest.raises(NothingTaken) as error:
            _imported(plant(under("one", base | changes)))
        return error.value.refusals[0].feature

    return bring
