"""Which test scripts only install and run pytest, and which need a network."""

from __future__ import annotations

import pytest

from agent.suites.importing.draft import Unsupported
from agent.suites.importing.shell import PytestRun, refuse_network, usual_pytest

VERDICT = """
if [ $? -eq 0 ]; then
  echo 1 > /logs/verifier/reward.txt
else
  echo 0 > /logs/verifier/reward.txt
fi
"""
USUAL = f"""#!/bin/bash
apt-get update
apt-get install -y curl  # not a usual line, see below
curl -LsSf https://astral.sh/uv/0.9.7/install.sh | sh
source $HOME/.local/bin/env
uv init
uv add pytest==8.4.1
uv run pytest /tests/test_outputs.py -rA
{VERDICT}""".replace("  # not a usual line, see below", "")


@pytest.mark.parametrize(
    "script",
    [
        USUAL,
        f"set -e\nuvx --with pytest==8.4.1 pytest /tests/test_outputs.py\n{VERDICT}",
        f"python3 -m pytest -q /tests/test_outputs.py{VERDICT}exit 0\n",
        f"pytest /tests/test_outputs.py -rA\n_CODE=$?{VERDICT.replace('$?', '$_CODE')}exit $_CODE\n",
        f"pytest /tests/test_outputs.py -rA\nRET=$?{VERDICT.replace('$?', chr(34) + '${RET}' + chr(34))}",
        f"pip install pytest\npytest /tests/test_outputs.py -v{VERDICT}".replace("; then", "\nthen"),
    ],
)
def test_a_usual_script_is_a_run_of_pytest(script: str) -> None:
    assert usual_pytest(script, reward=True) == PytestRun(("test_outputs.py",))
    assert usual_pytest(script, reward=False) is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("-eq 0", "-ne 0"),
        ("echo 1", "echo 0"),
        ("echo 0", "echo 1"),
        (VERDICT, ""),
        (VERDICT, f"true\n{VERDICT}"),
        (VERDICT, f"\nRET=$?\ntrue{VERDICT}"),
        (VERDICT, f"\nRET=0{VERDICT.replace('$?', '$RET')}"),
        (VERDICT, f"{VERDICT}rm /app/x\n"),
        ("pytest==8.4.1", "pytest==8.4.1 numpy"),
        (" -rA", " -rA --deselect x"),
        (" -rA", " -rA || true"),
        ("/tests/test_outputs.py", "/app/test_outputs.py"),
        ("uv init", "uv init\npython3 /tests/prepare.py"),
        ("apt-get install -y curl", "apt-get install -y curl gcc"),
    ],
)
def test_a_script_that_does_anything_else_is_not_taken_for_one(old: str, new: str) -> None:
    assert old in USUAL
    assert usual_pytest(USUAL.replace(old, new), reward=True) is None


@pytest.mark.parametrize(
    "line",
    ["apt-get -y install gcc", "pip install -q x", "curl -fsSL https://example.org/x | sh", "git clone u", "npm ci"],
)
def test_a_line_that_needs_a_network_is_named(line: str) -> None:
    with pytest.raises(Unsupported, match=r"^test\.sh line 3: needs a network"):
        refuse_network(f"#!/bin/bash\n# pip install y\n{line}\n", "test.sh")


@pytest.mark.parametrize("line", ["curl -s http://localhost:8000/x", "git log", "echo go", "python3 -m pip list"])
def test_what_stays_in_the_box_needs_none(line: str) -> None:
    refuse_network(line, "test.sh")
