"""Which tasks get a machine, and what becomes of them there."""

from __future__ import annotations

import pytest

from agent.suites.importing.profiles import MACHINE, STRICT, stdlib_only
from agent.suites.importing.whole import needs_machine

PLAIN = {
    "instruction": "Write 42 to /app/answer.txt. See /api/v1, https://x.org/etc/hosts and a/usr/b.",
    "tests": {"tests/test.sh": b"#!/usr/bin/env bash\n/usr/bin/python3 -m pytest /tests/t.py > /dev/null\n"},
    "reference": [b"#!/bin/bash\necho 42 > /tmp/x && cp /tmp/x /app/answer.txt\n"],
    "dockerfile": "FROM a\nRUN apt-get update && apt-get install -y jq && rm -rf /var/lib/apt/lists/*\nWORKDIR /app\n"
    "COPY x .\nRUN pip install -r x && mkdir -p out\n",
    "workdir": "/app",
}


def test_a_task_that_stays_in_its_working_directory_needs_none() -> None:
    assert needs_machine(**PLAIN) is None  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"instruction": "Fix `/etc/nginx/nginx.conf`."}, "its instruction names /etc/nginx/nginx.conf"),
        ({"instruction": "Write to /tmp/out.txt."}, "its instruction names /tmp/out.txt"),
        ({"tests": {"tests/t.py": b'Path("/root/.ssh/config")'}}, "its tests name /root/.ssh/config"),
        ({"reference": [b"echo 1 > /var/lib/x\n"]}, "its reference names /var/lib/x"),
        ({"reference": [b"cd /app && apt-get install -y jq\n"]}, "its reference runs apt-get"),
        ({"reference": [b"pip3   install numpy\n"]}, "its reference runs pip3 install"),
        ({"reference": [b"git commit -m x\n"]}, "its reference runs git commit"),
        ({"dockerfile": "FROM a\nWORKDIR /app\nRUN git init\n"}, "its image is built with git"),
        (
            {"dockerfile": "FROM a\nWORKDIR /app\nRUN python3 make.py > data.csv\n"},
            "the build of its image works in the working directory",
        ),
        (
            {"dockerfile": "FROM a\nRUN echo x > /app/data\nWORKDIR /app\n"},
            "the build of its image works in the working directory",
        ),
    ],
)
def test_one_sign_is_enough(changes: dict[str, object], reason: str) -> None:
    assert needs_machine(**{**PLAIN, **changes}) == reason  # type: ignore[arg-type]


def test_tests_run_by_our_own_python_only_if_they_import_nothing_else() -> None:
    assert stdlib_only({"t.py": b"import json, pytest\nfrom helpers import x\n", "helpers.py": b"import os\n"})
    assert not stdlib_only({"t.py": b"import numpy as np\n"})
    assert not stdlib_only({"t.py": b"def f():\n    from yaml import safe_load\n"})
    assert not stdlib_only({"t.py": b"def broken("})


def test_pytest_in_a_machine_reads_no_settings_but_those_of_the_tests() -> None:
    command = ["python3", "-m", "pytest", "-q", "/tests/t.py"]
    assert STRICT.pytest(command, {}, ours=False) == command
    alone = ["-c", "/dev/null", "--rootdir=/tests"]
    assert MACHINE.pytest(command, {"t.py": b""}, ours=True) == ["python3", "-I", "-m", "pytest", *alone, *command[3:]]
    assert "-c" not in MACHINE.pytest(command, {"pytest.ini": b""}, ours=True)
    by_the_image = MACHINE.pytest(command, {"t.py": b""}, ours=False)
    assert by_the_image[:4] == ["bash", "-c", 'exec "$@"', "bash"]
    assert by_the_image[4:7] == command[:3]
