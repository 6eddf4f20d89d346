"""COPY in image layers: which files it takes, by what they hold.

A file lies in the build context below a hash of the content, and the line names it there. So a line that copies the
same content is the same line, and an image is built again only when a file that it copies changes.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase

from agent.base.errors import UserError
from agent.base.executable import Executable
from agent.base.text import clean_line
from agent.base.types import Files
from agent.config.layers import Copy, Layers, Stage, copy_of

_FOLDER = "copied"


NO_STAGES: Mapping[str, Stage] = {}


def with_copies(  # noqa: PLR0917 - what it reads, and what errors say of it
    lines: Sequence[str],
    paths: Collection[str],
    read: Callable[[Sequence[str]], Files],
    field: str,
    where: str,
    stages: Mapping[str, Stage] = NO_STAGES,
) -> Layers:
    """The layers with their files.

    Args:
        lines: instructions without a fault (`layer_fault`).
        paths: every file that COPY may take.
        read: the files below some of these paths.
        field: what an error names.
        where: what holds the files, in words.
        stages: what `COPY --from` may take from.

    Raises:
        UserError: a source is not there, or several files have one target that is not a folder.
    """
    made = Layers()
    for line in lines:
        if (copy := copy_of(line)) is None:
            made += Layers(lines=(line,))
            continue
        if copy.stage is not None:
            made += _from_stage(copy, stages[copy.stage])
            continue
        sources = [found for source in copy.sources for found in _found(source, paths, field, where)]
        if len(sources) > 1 and not copy.target.endswith("/"):
            raise UserError(field, f"{clean_line(line)!r:.60} copies several files", "End the target with `/`.")
        made += _by_content(copy, sources, read(sources))
    return made


def _found(source: str, paths: Collection[str], field: str, where: str) -> list[str]:
    """The files and folders that a source means: itself, or what it matches as a pattern."""
    if source in paths or any(path.startswith(f"{source}/") for path in paths):
        return [source]
    if matches := sorted(set(_matching(source, paths))):
        return matches
    problem = f"COPY takes `{clean_line(source)}`, which is not in {where}"
    raise UserError(field, problem, "Put it there, or fix the line.")


def _matching(pattern: str, paths: Collection[str]) -> Iterator[str]:
    """Names that match part by part: `*` does not cross folders."""
    parts = pattern.split("/")
    for path in paths:
        head = path.split("/")[: len(parts)]
        if len(head) == len(parts) and all(map(fnmatchcase, head, parts)):
            yield "/".join(head)


def _by_content(copy: Copy, sources: Sequence[str], files: Files) -> Layers:
    folder = f"{_FOLDER}/{_digest(files)}"
    names = [f"{folder}/{_literally(source)}" for source in sources]
    line = " ".join(["COPY", *copy.options, json.dumps([*names, copy.target], ensure_ascii=False)])
    return Layers(lines=(line,), files={f"{folder}/{path}": body for path, body in files.items()})


def _from_stage(copy: Copy, stage: Stage) -> Layers:
    """A line that names the stage by its content, so that a change of the stage is a change of the line."""
    name = hashlib.sha256("\0".join([stage.base, *stage.layers.lines]).encode()).hexdigest()[:16]
    options = [option for option in copy.options if copy.stage is None or not option.endswith(f"={copy.stage}")]
    line = " ".join(["COPY", f"--from={name}", *options, json.dumps([*copy.sources, copy.target], ensure_ascii=False)])
    return Layers(lines=(line,), stages={name: stage})


def _literally(name: str) -> str:
    """A name as a pattern of Docker's that means itself."""
    return re.sub(r"([*?[])", r"[\1]", name)


def _digest(files: Files) -> str:
    """A short hash over paths, modes and contents."""
    digest = hashlib.sha256()
    for path, body in sorted(files.items()):
        digest.update(f"{path}\0{isinstance(body, Executable)}\0{len(body)}\0".encode())
        digest.update(body)
    return digest.hexdigest()[:16]
