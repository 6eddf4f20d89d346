"""The tools of the agent loop. What the model is told of them stands in `prompts/tool_*.md`."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from agent.scaffold import edits
from agent.scaffold.place import clip

NAMES = ("shell", "read_file", "edit", "write_file", "finish")
COMMAND_SECONDS = 60.0
RESULT_CHARS = 8000
READ_LINES = 400


class ToolError(Exception):
    """A tool was used wrongly; the model is told and may try again."""


@dataclass(frozen=True, kw_only=True)
class Toolbox:
    """What the model can do, in one workspace."""

    workspace: Path

    def use(self, name: str, arguments: dict[str, object], seconds: float) -> str:
        """The bounded result of one tool; `seconds` are left for it."""
        given = {key: str(value) for key, value in arguments.items()}
        try:
            return clip(self._use(name, given, seconds), RESULT_CHARS)
        except KeyError as error:
            return f"error: {name} needs the parameter {error}"
        except (ToolError, edits.EditError, OSError, UnicodeDecodeError) as error:
            return f"error: {error}"

    def _use(self, name: str, given: dict[str, str], seconds: float) -> str:
        match name:
            case "shell":
                return self.shell(given["command"], min(COMMAND_SECONDS, seconds))
            case "read_file":
                return self.read(given["path"], int(given.get("first_line") or 1))
            case "edit":
                return self.edit(given["path"], given["search"], given["replace"])
            case "write_file":
                return self.write(given["path"], given["content"])
            case "finish":
                return given["summary"]
        msg = f"there is no tool {name}; the tools are {', '.join(NAMES)}"
        raise ToolError(msg)

    def shell(self, command: str, seconds: float) -> str:
        """Run one command line; whatever it started is killed at the end of its time."""
        with tempfile.TemporaryFile() as output:  # a pipe could be held open by what it left running
            process = subprocess.Popen(
                ["sh", "-c", command],
                cwd=self.workspace,
                env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                end = f"exit code {process.wait(timeout=max(seconds, 1.0))}"
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                end = f"killed after {seconds:.0f} seconds"
            size = output.seek(0, os.SEEK_END)
            output.seek(0)
            head = output.read(RESULT_CHARS)
            output.seek(max(output.tell(), size - RESULT_CHARS))
            text = (head + output.read()).decode(errors="replace")
        return f"{clip(text, RESULT_CHARS - 100)}\n[{end}]"

    def read(self, path: str, first: int) -> str:
        """Some lines of a file, as they are."""
        lines = (self.workspace / path).read_text(encoding="utf-8").splitlines()
        part = lines[first - 1 : first - 1 + READ_LINES]
        rest = len(lines) - (first - 1 + len(part))
        return "\n".join(part) + (f"\n[{rest} more lines]" if rest > 0 else "")

    def edit(self, path: str, search: str, replacement: str) -> str:
        """Replace one place of a file."""
        file = self.workspace / path
        file.write_text(edits.replace(file.read_text(encoding="utf-8"), search, replacement), encoding="utf-8")
        return f"{path} is edited"

    def write(self, path: str, content: str) -> str:
        """Write a whole file."""
        file = self.workspace / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding="utf-8")
        return f"{path} is written"
