"""Harbor tasks in the shapes that people publish, and the files that `harbor init` writes."""

from __future__ import annotations

HEAD = 'version = "1.0"\n[verifier]\ntimeout_sec = 60.0\n[agent]\ntimeout_sec = 60.0\n'
ANSWER = '[ "$(cat /app/answer.txt 2>/dev/null)" = 42 ]'
TASK = {
    "task.toml": HEAD,
    "instruction.md": "Write 42 into answer.txt in the working directory.\n",
    "environment/Dockerfile": "FROM python:3.12-slim\nWORKDIR /app\n",
    "solution/solve.sh": "#!/bin/bash\nprintf 42 > /app/answer.txt\n",
    "tests/test.sh": (
        f"#!/bin/bash\nmkdir -p /logs/verifier\n{ANSWER} && echo 1 > /logs/verifier/reward.txt"
        " || echo 0 > /logs/verifier/reward.txt\n"
    ),
}
TEMPLATE_CONFIG = """schema_version = "1.4"
artifacts = []

[task]
name = "me/hello"
version = "1.0.0"
description = "x"
authors = []
keywords = []

[metadata]

[verifier]
timeout_sec = 600.0
environment_mode = "{mode}"
collect = []

[verifier.env]

[agent]
timeout_sec = 600.0

[environment]
network_mode = "public"
build_timeout_sec = 600.0
os = "linux"
mcp_servers = []

[environment.env]

[solution.env]
"""
TEMPLATE_VERDICT = "; then\n  echo 1 > /logs/verifier/reward.txt\nelse\n  echo 0 > /logs/verifier/reward.txt\nfi\n"
TEMPLATE = {
    "task.toml": TEMPLATE_CONFIG.format(mode="shared"),
    "README.md": "# me/hello\n",
    "instruction.md": "Write hello into /app/hello.txt\n",
    "environment/Dockerfile": "FROM ubuntu:24.04\n\n# Install dependencies here.\n\nWORKDIR /app",
    "solution/solve.sh": "#!/bin/bash\necho hello > /app/hello.txt\n",
    "tests/test.sh": (
        "#!/bin/bash\n\napt-get update\napt-get install -y curl\n\n"
        'curl -LsSf https://astral.sh/uv/0.9.7/install.sh | sh\n\nsource "$HOME/.local/bin/env"\n\n'
        "if uvx \\\n  --with pytest==8.4.1 \\\n  --with pytest-json-ctrf==0.3.5 \\\n"
        f"  pytest --ctrf /logs/verifier/ctrf.json /tests/test_outputs.py -rA{TEMPLATE_VERDICT}"
    ),
    "tests/test_outputs.py": (
        "from pathlib import Path\n\n\ndef test_outputs():\n"
        '    assert Path("/app/hello.txt").read_text().strip() == "hello"\n'
    ),
}
SEPARATE = TEMPLATE | {
    "task.toml": TEMPLATE_CONFIG.format(mode="separate").replace("artifacts = []", 'artifacts = ["/app/hello.txt"]'),
    "tests/Dockerfile": (
        "FROM python:3.12-slim\n\nCOPY --from=ghcr.io/astral-sh/uv:0.9.7 /uv /usr/local/bin/uv\n\n"
        "RUN uv pip install --system pytest==8.4.1 pytest-json-ctrf==0.3.5\n\nWORKDIR /app\n\nCOPY . /tests/\n"
    ),
    "tests/test.sh": (
        "#!/bin/bash\n\n# Install test dependencies in tests/Dockerfile.\n\n"
        f"if pytest --ctrf /logs/verifier/ctrf.json /tests/test_outputs.py -rA{TEMPLATE_VERDICT}"
    ),
}
_COPIED = {
    "tests/test.sh": (
        "#!/bin/bash\nbash /app/tests/judge.sh && R=1 || R=0\nmkdir -p /logs/verifier\n"
        "echo $R > /logs/verifier/reward.txt\n"
    ),
    "tests/judge.sh": "set -e\ncmp /app/solution/right.txt /tests/wanted.txt\necho judged > /shared/said\n",
    "tests/wanted.txt": "forty-two\n",
    "solution/solve.sh": "#!/bin/bash\ncp /solution/right.txt /app/solution/right.txt\n",
    "solution/right.txt": "forty-two\n",
}
COPIED = (
    TASK
    | _COPIED
    | {f"environment/{path}": text for path, text in _COPIED.items()}
    | {
        "environment/Dockerfile": "FROM a\nWORKDIR /app\nCOPY . /app\n",
        "environment/data.txt": "data\n",
        "environment/docker-compose.yaml": (
            "services:\n  main:\n    build: .\n    volumes:\n      - ${CONTEXT_DIR}/..:/shared\n"
        ),
    }
)
"""A task whose Dockerfile copies its tests and its reference, whose script runs the copied tests, with a volume."""
