"""A scripted model on loopback, and the scaffold run against it as it runs in a box.

The scaffold is what a campaign rewrites, so this process never imports it: it is copied, and run as a program.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import pytest

ROOT = Path(__file__).parents[2]
CODE_STUB = "def double(n):\n    raise NotImplementedError\n"
INSTRUCTION = "Write `double(n)` in `solution.py`.\n\n```python\n>>> double(2)\n4\n>>> double(0)\n0\n```\n"

Reply = str | int | Mapping[str, object] | None


class ScriptedModel:
    """An OpenAI-compatible server that answers from a list: a text, a whole message, a status; None never answers."""

    def __init__(self, replies: Sequence[Reply], window: int | None) -> None:
        self.requests: list[dict[str, Any]] = []
        self.replies = list(replies)
        self.over = threading.Event()
        model = self
        listed = {"id": "solver"} | ({} if window is None else {"context_window": window})

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                """Stay silent."""

            def do_GET(self) -> None:
                self.answer(200, {"data": [{"id": "another", "context_window": 5}, listed]})

            def do_POST(self) -> None:
                model.requests.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                reply = model.replies.pop(0) if model.replies else 500
                if reply is None:
                    model.over.wait()
                    return
                if isinstance(reply, int):
                    self.answer(reply, {"error": {"message": "the script has no answer"}})
                    return
                message = {"role": "assistant", "content": reply} if isinstance(reply, str) else reply
                ended = message.get("finish_reason", "stop")
                self.answer(200, {"choices": [{"message": message, "finish_reason": ended}]})

            def answer(self, status: int, body: object) -> None:
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.server.shutdown()
        self.server.server_close()

    @property
    def url(self) -> str:
        """What a box has as OPENAI_BASE_URL."""
        return f"http://127.0.0.1:{self.server.server_port}/v1"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one run of the scaffold left."""

    exit_code: int
    output: str
    requests: list[dict[str, Any]]
    unused: int

    @property
    def prompts(self) -> list[str]:
        """The last message of each request."""
        return [request["messages"][-1]["content"] for request in self.requests]


@dataclass(kw_only=True)
class Lab:
    """A copy of the scaffold, a task folder and a workspace in one temporary folder."""

    root: Path
    window: int | None = 2048
    env: dict[str, str] = field(default_factory=dict)

    @property
    def tree(self) -> Path:
        """The candidate tree, `/scaffold` in a box: `agent` is not a regular package there."""
        return self.root / "scaffold"

    @property
    def workspace(self) -> Path:
        """The working directory."""
        return self.root / "workspace"

    def set(self, **values: object) -> None:
        """Change settings of the candidate, before a copy of it becomes a workspace."""
        path = self.tree / "agent/scaffold/settings.py"
        lines = path.read_text(encoding="utf-8").splitlines()
        for name, value in values.items():
            at = next(number for number, line in enumerate(lines) if line.startswith(f"{name} = "))
            _, gap, comment = lines[at].partition("  # ")
            lines[at] = f"{name} = {json.dumps(value)}{gap}{comment}"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def put(self, folder: str, files: Mapping[str, str]) -> None:
        """Write files below one of the folders."""
        for name, text in files.items():
            path = self.root / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")

    def brief(self, **changes: object) -> None:
        """Write what the kernel tells an improver."""
        told = {
            "campaign": "test",
            "scores": {"champion": 0.25, "parent": 0.2},
            "trials_left": 100,
            "tokens_left": None,
            "attempts": [],
            "failures": [{"task": "sums", "file": "transcripts/1.md"}],
            **changes,
        }
        self.put("task", {"context/brief.json": json.dumps(told)})

    def text(self, name: str) -> str:
        """One file of the workspace."""
        return (self.workspace / name).read_text(encoding="utf-8")

    def tree_of_workspace(self) -> dict[str, str]:
        """Every file of the workspace."""
        files = (path for path in sorted(self.workspace.rglob("*")) if path.is_file())
        return {path.relative_to(self.workspace).as_posix(): path.read_text(encoding="utf-8") for path in files}

    @staticmethod
    def uses(name: str, **arguments: object) -> dict[str, object]:
        """An assistant's message that uses one tool."""
        function = {"name": name, "arguments": json.dumps(arguments)}
        tool = {"id": "call-1", "type": "function", "function": function}
        return {"role": "assistant", "content": None, "tool_calls": [tool]}

    def run(self, *replies: Reply) -> Outcome:
        """Run the scaffold to its end against scripted replies."""
        with ScriptedModel(replies, self.window) as model:
            env = {
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(self.tree),
                "PYTHONDONTWRITEBYTECODE": "1",
                "OPENAI_BASE_URL": model.url,
                "OPENAI_API_KEY": "placeholder",
                "RATCHET_MODEL": "solver",
                "RATCHET_SEED": "1",
                "RATCHET_SECONDS": "120",
                "RATCHET_TASK_DIR": str(self.root / "task"),
                **self.env,
            }
            done = subprocess.run(
                [sys.executable, "-S", "-P", "-m", "agent.scaffold"],
                cwd=self.workspace,
                env=env,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=60,
                check=False,
            )
        return Outcome(
            exit_code=done.returncode,
            output=done.stdout.decode(),
            requests=model.requests,
            unused=len(model.replies),
        )


def copy_scaffold(target: Path) -> None:
    """Copy the mutable paths, as the kernel puts them into a box."""
    ignored = shutil.ignore_patterns("__pycache__")
    for name in ("agent/scaffold", "prompts"):
        shutil.copytree(ROOT / name, target / name, ignore=ignored)


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """A suite task with one starting file."""
    made = Lab(root=tmp_path)
    copy_scaffold(made.tree)
    made.put("task", {"instruction.md": INSTRUCTION})
    made.put("workspace", {"solution.py": CODE_STUB})
    return made


@pytest.fixture
def workshop(tmp_path: Path) -> Lab:
    """The task to improve oneself; the workspace is a copy of the mutable paths."""
    made = Lab(root=tmp_path)
    copy_scaffold(made.tree)
    copy_scaffold(made.workspace)
    instruction = (ROOT / "tasks/self-improvement/instruction.md").read_text(encoding="utf-8")
    made.put("task", {"instruction.md": instruction, "context/transcripts/1.md": "the trial FAILED-LIKE-THIS"})
    made.brief()
    return made


Call = Callable[..., Any]


@pytest.fixture(scope="session")
def call() -> Iterator[Call]:
    """Call a function of the scaffold in a process of its own: `call("edits.replace", "text", "old", "new")`."""
    with subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("worker.py"))],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        if process.stdin is None or process.stdout is None:
            pytest.fail("the worker has no pipes")
        into, out = process.stdin, process.stdout

        def ask(name: str, *args: object) -> Any:
            into.write(json.dumps([name, args]) + "\n")
            into.flush()
            return json.loads(out.readline())

        yield ask
        into.close()
