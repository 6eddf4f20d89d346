"""The tools of the agent loop. What the model is told of them stands in `prompts/tool_*.md`."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from agent.scaffold import edits
from agent.scaffold.place import hidden

NAMES = ("shell", "read_file", "search", "edit", "write_file", "plan", "finish")
COMMAND_SECONDS = 60  # unless the model asks for more
LONGEST_SECONDS = 600
KILLED = (-signal.SIGKILL, 128 + signal.SIGKILL)
RESULT_CHARS = 8000
READ_LINES = 400
LINE_CHARS = 400  # of one line in a search or a read
FOUND_LINES = 60
SEARCHED_BYTES = 1 << 20  # larger files are not searched
READ_BYTES = 1 << 20  # of what a command prints; the rest is counted only


class ToolError(Exception):
    """A tool was used wrongly; the model is told in one sentence and may try again."""


@dataclass(kw_only=True)
class Toolbox:
    """What the model can do, in one workspace, and its plan, which outlives a conversation that grows too long."""

    workspace: Path
    plan: str = field(default="", init=False)

    def use(self, name: str, arguments: dict[str, object], seconds: float) -> str:
        """The bounded result of one tool; `seconds` are left for it."""
        try:
            return shortened(self._use(name, Given(name, arguments), seconds))
        except (ToolError, edits.EditError) as error:
            return f"error: {error}"
        except UnicodeDecodeError:
            return "error: the file is not UTF-8 text; look at it with the shell"
        except (OSError, ValueError) as error:
            return f"error: {error}"

    def _use(self, name: str, given: Given, seconds: float) -> str:
        ways: dict[str, Callable[[], str]] = {
            "shell": lambda: self.shell(given.text("command"), min(given.seconds(), seconds)),
            "read_file": lambda: self.read(given.text("path"), given.number("first_line", 1)),
            "search": lambda: self.search(given.text("pattern"), given.text("path", ".")),
            "edit": lambda: self.edit(given.text("path"), given.text("search"), given.text("replace")),
            "write_file": lambda: self.write(given.text("path"), given.text("content")),
            "plan": lambda: self.note(given.text("steps")),
            "finish": lambda: given.text("summary"),
        }
        if name not in ways:
            msg = f"there is no tool {name}; the tools are {', '.join(NAMES)}"
            raise ToolError(msg)
        return ways[name]()

    def note(self, steps: str) -> str:
        """Keep the plan."""
        self.plan = steps
        return "noted"

    def shell(self, command: str, seconds: float) -> str:
        """Run one command line; whatever it started is killed at the end of its time, and what it printed is shown."""
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
                end += " (killed, perhaps because it took too much memory)" if process.returncode in KILLED else ""
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                end = f"killed after {seconds:.0f} seconds; what it had printed is above"
            size = output.seek(0, os.SEEK_END)
            output.seek(0)
            printed = output.read(READ_BYTES // 2)
            output.seek(max(output.tell(), size - READ_BYTES // 2))
            skipped = output.tell() - len(printed)
            text = (printed + output.read()).decode(errors="replace")
        return f"{shortened(text, RESULT_CHARS - 100, skipped)}\n[{end}]"

    def read(self, path: str, first: int) -> str:
        """Some lines of a file, each with its number."""
        lines = (self.workspace / path).read_text(encoding="utf-8").splitlines()
        if not 1 <= first <= max(len(lines), 1):
            msg = f"{path} has {len(lines)} lines, so first_line cannot be {first}"
            raise ToolError(msg)
        part = lines[first - 1 : first - 1 + READ_LINES]
        shown = numbered(part, first)
        rest = len(lines) - (first - 1 + len(part))
        return shown + (f"\n[{rest} more lines; read on with first_line {first + len(part)}]" if rest > 0 else "")

    def search(self, pattern: str, path: str) -> str:
        """The lines of the workspace's text files that match a regular expression."""
        try:
            wanted = re.compile(pattern)
        except re.error as error:
            msg = f"the pattern is not a regular expression ({error}); escape it, or use simpler text"
            raise ToolError(msg) from error
        root = self.workspace / path
        if not root.exists():
            msg = f"there is no {path}"
            raise ToolError(msg)
        found = list(islice(self._matches(root, wanted), FOUND_LINES + 1))
        more = f"\n[only the first {FOUND_LINES} lines are shown; search for something rarer]"
        return "\n".join(found[:FOUND_LINES]) + (more if len(found) > FOUND_LINES else "") or "nothing found"

    def _matches(self, root: Path, wanted: re.Pattern[str]) -> Iterator[str]:
        for file in sorted(root.rglob("*")) if root.is_dir() else [root]:
            if not hidden(file.relative_to(root)) and file.is_file() and file.stat().st_size <= SEARCHED_BYTES:
                name = file.relative_to(self.workspace) if file.is_relative_to(self.workspace) else file
                for number, line in enumerate(file.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
                    if wanted.search(line[: 10 * LINE_CHARS]):
                        yield f"{name}:{number}: {line.strip()[:LINE_CHARS]}"

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


class Given:
    """The arguments of one call, each checked when it is used."""

    def __init__(self, tool: str, arguments: dict[str, object]) -> None:
        self.tool, self.arguments = tool, arguments

    def text(self, name: str, default: str | None = None) -> str:
        """A text. Raises ToolError if it is missing."""
        value = self.arguments.get(name, default)
        if value is None:
            msg = f"{self.tool} needs the parameter '{name}'"
            raise ToolError(msg)
        return str(value)

    def number(self, name: str, default: int) -> int:
        """A whole number, also one that is written as a text. Raises ToolError."""
        value = self.arguments.get(name)
        try:
            return default if value is None or value == "" else int(str(value))
        except ValueError:
            msg = f"{name} must be a whole number, not {value!r}"
            raise ToolError(msg) from None

    def seconds(self) -> float:
        """How long a command may take."""
        return min(self.number("seconds", COMMAND_SECONDS), LONGEST_SECONDS)


def numbered(lines: list[str], first: int) -> str:
    """Lines with their numbers; very long ones are cut."""
    cut = (line if len(line) <= LINE_CHARS else f"{line[:LINE_CHARS]} [line cut]" for line in lines)
    return "\n".join(f"{number:>5}  {line}" for number, line in enumerate(cut, start=first))


def shortened(text: str, limit: int = RESULT_CHARS, skipped: int = 0) -> str:
    """The head and the tail of a text in whole lines, and a note of what is left out; `skipped` was never read."""
    if len(text) <= limit:
        return text
    head = text[: limit // 2].rpartition("\n")[0] or text[: limit // 2]
    tail = text[-(limit - limit // 2) :].partition("\n")[2] or text[-(limit - limit // 2) :]
    left = text[len(head) : len(text) - len(tail)]
    size = f"{left.count(chr(10))} lines, {len(left) + skipped} characters"
    note = f"[... {size} left out: ask for less, or for a part ...]"
    return f"{head}\n{note}\n{tail}"
