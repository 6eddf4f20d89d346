"""Here-documents of a Dockerfile, in words that every engine's builder knows.

A RUN with a here-document becomes a RUN of the same script, carried as base64; a COPY of one becomes a COPY of a file
in the build context. Lines keep their numbers.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence

from agent.suites.importing.draft import Unsupported

MAX_BYTES = 36 << 10
"""Bytes of one script: a line of a Dockerfile holds at most 64 KiB."""

SCRIPT = "/tmp/.ratchet-run"  # noqa: S108 - while an image is built
_MARK = re.compile(r"(?<!<)<<(?P<tabs>-?)(?P<quote>[\"']?)(?P<word>[A-Za-z_]\w*)(?P=quote)(?!<)")
_WORD = re.compile(r"\s*(?P<word>RUN|COPY|ADD)\s+(?P<rest>.*)", re.IGNORECASE | re.DOTALL)
_SHELL = re.compile(r"\s*SHELL\s+\[\s*\"(?P<shell>[^\"]+)\"", re.IGNORECASE)


def unfolded(content: str, where: str) -> tuple[str, dict[str, bytes]]:
    """The Dockerfile without here-documents, and the files that its COPY lines need, by path.

    Raises:
        Unsupported: one has no end, is too long, or would have to be expanded.
    """
    if "<<" not in content:
        return content, {}
    files: dict[str, bytes] = {}
    lines, found, shell, at = content.split("\n"), [], "/bin/sh", 0
    while at < len(lines):
        start, at = at, _end(lines, at)
        whole = "\n".join(lines[start:at])
        if said := _SHELL.match(whole):
            shell = said["shell"]
        marks = list(_MARK.finditer(whole)) if _WORD.match(whole) else []
        if marks:
            place = f"{where} line {start + 1}"
            bodies, at = _bodies(lines, at, marks, place)
            whole, made = _rewritten(whole, marks, bodies, shell, place)
            files |= made
            whole += "\n" * (at - start - 1 - whole.count("\n"))
        found.append(whole)
    return "\n".join(found), files


def _end(lines: Sequence[str], at: int) -> int:
    """Where the logical line that begins at a line ends."""
    while at < len(lines) - 1 and lines[at].rstrip().endswith("\\") and not lines[at].lstrip().startswith("#"):
        at += 1
    return at + 1


def _bodies(lines: Sequence[str], at: int, marks: Sequence[re.Match[str]], where: str) -> tuple[list[str], int]:
    """The text of each here-document, and the line after the last one."""
    found = []
    for mark in marks:
        start = at
        while at < len(lines) and (lines[at].lstrip("\t") if mark["tabs"] else lines[at]) != mark["word"]:
            at += 1
        if at == len(lines):
            raise Unsupported(f"{where}: the here-document {mark['word']} has no end")
        body = [line.lstrip("\t") if mark["tabs"] else line for line in lines[start:at]]
        found.append("".join(f"{line}\n" for line in body))
        at += 1
    return found, at


def _rewritten(
    whole: str, marks: Sequence[re.Match[str]], bodies: Sequence[str], shell: str, where: str
) -> tuple[str, dict[str, bytes]]:
    """One instruction without its here-documents, and the files that it copies."""
    said = _WORD.match(whole)
    if said is None or said["word"].upper() == "RUN":
        command = re.sub(r"\\\s*\n", " ", said["rest"] if said else whole)
        alone = len(marks) == 1 and _MARK.fullmatch(command.strip())
        ended = "".join(f"{body}{mark['word']}\n" for mark, body in zip(marks, bodies, strict=True))
        return _run(bodies[0] if alone else f"{command}\n{ended}", shell, where), {}
    files = {}
    for number, (mark, body) in enumerate(zip(marks, bodies, strict=True)):
        if "$" in body and not mark["quote"]:
            raise Unsupported(f"{where}: {said['word']} of a here-document with variables")
        name = f".heredoc/{where.rpartition(' ')[2]}-{number}/{mark['word']}"
        files[name] = body.encode()
        whole = whole.replace(mark[0], name, 1)
    return whole, files


def _run(script: str, shell: str, where: str) -> str:
    if len(script.encode()) > MAX_BYTES:
        raise Unsupported(f"{where}: a here-document of more than {MAX_BYTES >> 10} KiB")
    text = base64.b64encode(script.encode()).decode()
    start = f"chmod 755 {SCRIPT} && {SCRIPT}" if script.startswith("#!") else f"{shell} {SCRIPT}"
    return f"RUN echo {text} | base64 -d > {SCRIPT} && {start} && rm {SCRIPT}"
