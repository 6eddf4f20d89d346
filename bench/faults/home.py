"""A user's repository with short campaigns in it, and the model that they ask: a server on loopback that counts."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import yaml

ROOT = Path(__file__).resolve().parents[2]
TASKS_A_SPLIT = 2
PARALLEL = 4
COOL = 30  # per cent


class Model(BaseHTTPRequestHandler):
    """Solves tasks only when it is asked coolly, so that lowering TEMPERATURE is a true improvement.

    `always_right`: it solves them however it is asked, so that a lower score is an infrastructure error that was
    scored. `down`: it refuses every call.
    """

    always_right: ClassVar[bool] = False
    down: ClassVar[bool] = False
    solutions: ClassVar[dict[str, str]] = {}
    served: ClassVar[Counter[str]] = Counter()
    lock: ClassVar[threading.Lock] = threading.Lock()

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.down:
            self.send_error(503)
            return
        text = self._text(body)
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
        usage = {"prompt_tokens": 50, "completion_tokens": 20, "total_tokens": 70}
        head = {"id": "1", "object": "chat.completion", "created": 1, "model": "m"}
        raw = json.dumps({**head, "choices": [choice], "usage": usage}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def _text(self, body: dict[str, Any]) -> str:
        # All messages: a retry's last one does not name the task again.
        prompt = "\n".join(str(message["content"]) for message in body["messages"])
        asked = [name for name in re.findall(r"`(\w+)\(", prompt) if name in self.solutions]
        form = body.get("response_format")
        if form is not None:
            kind, text = "improver", json.dumps({"change": self._change(form["json_schema"]["schema"])})
        elif asked:
            cool = self.always_right or (body.get("temperature") or 0.0) < COOL / 100
            code = self.solutions[asked[-1]] if cool else "def wrong():\n    return None\n"
            kind, text = "solver", f"```python\n{code}```"
        else:
            kind, text = "probe", "ok"
        with self.lock:
            self.served[kind] += 1
        return text

    def _change(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Every second proposal is a good one, where one is offered; otherwise the first that is offered."""
        options = schema["properties"]["change"]["anyOf"]
        offered = [(o["properties"]["constant"], o["properties"]["value"]["enum"]) for o in options]
        named = [(c.get("const") or c["enum"][0], values) for c, values in offered]
        cool = [value for name, values in named if name == "TEMPERATURE" for value in values if value < COOL]
        if cool and self.served["improver"] % 2 == 0:
            return {"constant": "TEMPERATURE", "value": cool[0]}
        other = [(name, v) for name, v in named if name not in ("TEMPERATURE", "RETRIES", "SAMPLES")] or named
        return {"constant": other[0][0], "value": other[0][1][0]}

    def log_message(self, *_: object) -> None: ...


@dataclass
class Home:
    """One repository for many campaigns, each with a name and a configuration file of its own."""

    folder: Path
    trials: int = 60
    server: ThreadingHTTPServer = field(init=False)
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        shutil.copytree(ROOT / "agent" / "scaffold", self.folder / "agent" / "scaffold")
        shutil.copytree(ROOT / "prompts", self.folder / "prompts")
        whole = yaml.safe_load((ROOT / "tasks" / "starter" / "suite.yaml").read_text())
        chosen = [
            task
            for split in ("search", "gate", "holdout")
            for task in [t for t in whole["tasks"] if t["split"] == split][:TASKS_A_SPLIT]
        ]
        (self.folder / "suite").mkdir()
        (self.folder / "suite" / "suite.yaml").write_text(yaml.safe_dump({**whole, "tasks": chosen}))
        for task in chosen:
            if (named := re.search(r"`(\w+)\(", task["instruction"])) is not None:
                Model.solutions[named[1]] = task["solution"]["solution.py"]
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Model)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        for arguments in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-qm", "start"]):
            self.git(*arguments)
        (self.folder / ".git" / "info" / "exclude").write_text("runs/\n/*.yaml\n/*.log\n")

    def configure(self, name: str, **more: object) -> Path:
        """The configuration file of a campaign."""
        model = {
            "provider": "openai", "model": "m", "base_url": f"http://127.0.0.1:{self.server.server_port}/v1",
            "api_key_env": "PLANTED_KEY", "context_window": 2048,
        }  # fmt: skip
        config = {
            "name": name, "suite": "suite", "models": {"solver": model, "improver": model},
            "search": {"min_trials": 4, "min_z": 0}, "gate_options": {"spending": 1, "share": 1.0, "same_pairs": 1},
            "budget": {"hours": 0.5, "trials": self.trials}, "boxes": {"parallel": PARALLEL, "starved": 1}, **more,
        }  # fmt: skip
        path = self.folder / f"{name}.yaml"
        path.write_text(json.dumps(config))  # JSON is YAML without aliases
        return path

    def start(self, config: Path, *arguments: str) -> subprocess.Popen[bytes]:
        """`ratchet run` as a process in a session of its own; its output is appended to a log."""
        command = [sys.executable, "-P", "-m", "agent.cli", *(arguments or ("run",)), str(config)]
        with config.with_suffix(".log").open("ab") as log:
            process = subprocess.Popen(
                command, cwd=self.folder, env=self._environment(), stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        self.started.append(process)
        return process

    def ratchet(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """One command to its end."""
        command = [sys.executable, "-P", "-m", "agent.cli", *arguments]
        return subprocess.run(
            command, cwd=self.folder, env=self._environment(), capture_output=True, text=True, check=False, timeout=300
        )

    def status(self, name: str) -> dict[str, Any]:
        """`ratchet status --json` of a campaign; empty before it has begun."""
        done = self.ratchet("status", "--json", f"{name}.yaml")
        return dict(json.loads(done.stdout)) if done.returncode == 0 else {}

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(ROOT), "PLANTED_KEY": "sk-planted"}

    def git(self, *arguments: str) -> str:
        """Git in the user's repository."""
        command = ["git", "-c", "user.name=u", "-c", "user.email=u@x", *arguments]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def close(self) -> None:
        """Stop the model, and every campaign that still runs."""
        for process in self.started:
            if process.poll() is None:
                kill(process, alone=False)
        self.server.shutdown()


def until(ready: Callable[[], object], seconds: float = 240.0) -> None:
    """Wait until something is so. Raises TimeoutError."""
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            raise TimeoutError(f"it did not come to that within {seconds:.0f} s")
        time.sleep(0.3)


def kill(process: subprocess.Popen[bytes], *, alone: bool) -> None:
    """SIGKILL to the process alone, so that its children live on, or to its whole session."""
    if alone:
        process.kill()
    else:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
