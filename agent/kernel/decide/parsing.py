"""What Python says of a candidate's source without running it: does it parse, how does it read, what stands out.

Pure, and standard library only, because this file is also a program. Parsing hostile source can take minutes or
gigabytes (an f-string of many fields is quadratic in the interpreter's own parser), so the loop has `answer` run in
another process, under limits (see `agent.kernel.loop.reading`).
"""

from __future__ import annotations

import ast
import hashlib
import io
import json
import re
import sys
import tokenize
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

WORDS = 200
"""Characters of the source's own words that a finding or a fault keeps."""
FINDINGS = 1000
"""Findings that are kept of one source."""

_MODULES = {
    "network": {
        "socket", "ssl", "http", "urllib", "urllib3", "requests", "httpx", "aiohttp", "websockets", "ftplib", "smtplib",
        "telnetlib", "xmlrpc", "socketserver", "imaplib", "poplib", "paramiko",
    },
    "other programs": {"subprocess", "multiprocessing", "pty", "ctypes", "cffi", "signal"},
    "code made at run time": {"importlib", "runpy", "pickle", "marshal", "code", "codeop", "zipimport"},
}  # fmt: skip
_CALLS = {
    "network": {"asyncio.open_connection", "asyncio.start_server", "asyncio.open_unix_connection"},
    "other programs": {
        "asyncio.create_subprocess_exec", "asyncio.create_subprocess_shell", "os.system", "os.popen", "os.fork",
        "os.forkpty", "os.kill", "os.killpg", "os.setsid", "os.posix_spawn", "os.posix_spawnp",
    },
    "code made at run time": {"eval", "exec", "compile", "__import__", "globals", "sys.settrace"},
    "checks switched off": {"os._exit", "warnings.filterwarnings", "warnings.simplefilter", "sys.setrecursionlimit"},
}  # fmt: skip
_SPAWNS = re.compile(r"os\.(exec|spawn)[lv]p?e?$")


@dataclass(frozen=True, slots=True)
class Finding:
    """One construct that a reviewer should look at. `what` is the source's own words, cut but not cleaned."""

    kind: str
    what: str
    line: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """One source as Python reads it.

    `fault` says why a patch may not hold it, None if it may; `line` is where, 0 if no line is known. `essence` is a
    hash that is equal for sources which differ in comments and layout only; it is empty if the source does not parse.
    """

    fault: str | None
    line: int = 0
    essence: str = ""
    findings: tuple[Finding, ...] = ()


Readings = Mapping[bytes, Reading]
"""Source -> how Python reads it."""


def read(source: bytes) -> Reading:
    """Parse one source; takes as long and as much memory as the interpreter's parser does."""
    version = f"Python {sys.version_info.major}.{sys.version_info.minor}"
    try:
        # Another source encoding would make the interpreter run another text than the reviewer reads.
        encoding, _ = tokenize.detect_encoding(io.BytesIO(source).readline)
        fault = None if encoding in {"utf-8", "utf-8-sig"} else f"declares the encoding {encoding}, not UTF-8"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
    except SyntaxError as error:
        return Reading(fault=f"is not valid {version}: {_printable(str(error.msg))}", line=error.lineno or 0)
    except (RecursionError, MemoryError):
        return Reading(fault=f"is nested too deeply for {version}")
    except ValueError as error:
        return Reading(fault=f"is not valid {version}: {_printable(str(error))}")
    return Reading(fault=fault, essence=_essence(tree, source), findings=tuple(islice(_findings(tree), FINDINGS)))


def _printable(text: str) -> str:
    return text.encode("unicode_escape", "backslashreplace").decode()[:WORDS]


def _essence(tree: ast.Module, source: bytes) -> str:
    """Docstrings count: a program can read them. What cannot be written out (too deep, huge numbers) is its source."""
    try:
        form = b"\0" + ast.dump(tree).encode("utf-8", "surrogatepass")
    except (ValueError, RecursionError, MemoryError):
        form = source
    return hashlib.sha256(form).hexdigest()


# ------------------------------------------------------------------------------------ findings


def _findings(tree: ast.Module) -> Iterator[Finding]:
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from _imports(node, names)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield from _call(node, names)
        elif isinstance(node, ast.ExceptHandler) and _swallows(node):
            yield Finding("checks switched off", "every exception is swallowed", node.lineno)


def _imports(node: ast.Import | ast.ImportFrom, names: dict[str, str]) -> Iterator[Finding]:
    """Suspicious modules; `names` learns what each imported name stands for."""
    origin = node.module if isinstance(node, ast.ImportFrom) and not node.level else None
    if isinstance(node, ast.ImportFrom) and origin is None:
        return
    for alias in node.names:
        full = f"{origin}.{alias.name}" if origin else alias.name
        names[alias.asname or alias.name.partition(".")[0]] = full if alias.asname or origin else full.partition(".")[0]
    for module in {origin} if origin else {alias.name for alias in node.names}:
        for kind, modules in _MODULES.items():
            if str(module).partition(".")[0] in modules:
                yield Finding(kind, f"import {module}"[:WORDS], node.lineno)


def _call(node: ast.Call, names: dict[str, str]) -> Iterator[Finding]:
    called = _dotted(node.func)
    head, dot, rest = called.partition(".")
    called = f"{names.get(head, head)}{dot}{rest}"
    for kind, calls in _CALLS.items():
        if called in calls or (kind == "other programs" and _SPAWNS.fullmatch(called)):
            yield Finding(kind, f"{called}()", node.lineno)


def _dotted(node: ast.expr) -> str:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


def _swallows(node: ast.ExceptHandler) -> bool:
    wide = node.type is None or (isinstance(node.type, ast.Name) and node.type.id in {"Exception", "BaseException"})
    return wide and all(isinstance(step, ast.Pass | ast.Continue) for step in node.body)


# ------------------------------------------------------------------------------------ as a program


def _plain(reading: Reading) -> dict[str, object]:
    """A reading as JSON has it; `asdict` would copy each value."""
    findings = [{"kind": one.kind, "what": one.what, "line": one.line} for one in reading.findings]
    return {"fault": reading.fault, "line": reading.line, "essence": reading.essence, "findings": findings}


def answer(sources: Sequence[bytes]) -> str:
    """How Python reads some sources: a JSON array with an object for each."""
    return json.dumps([_plain(read(source)) for source in sources])
