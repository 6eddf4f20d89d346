"""What of a Dockerfile the native format can say: an image, layers that change no file of the task, starting files.

A box is read-only but for `/workspace`. So the working directory of the image becomes a link to it, and a
Dockerfile that writes into that directory by a RUN is refused by the build itself.
"""

from __future__ import annotations

import fnmatch
import io
import json
import posixpath
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dockerfile_parse import DockerfileParser

from agent.base.types import Files
from agent.suites.importing.draft import Unsupported

MAX_LINES = 2000
_NO_EFFECT = frozenset({"CMD", "LABEL", "EXPOSE", "MAINTAINER", "COMMENT"})
_LAYERS = frozenset({"ENV", "ARG", "SHELL"})
_OURS = frozenset({"/", "/tmp", "/tests", "/logs", "/task", "/scaffold", "/proc", "/sys", "/dev", "/run"})  # noqa: S108


@dataclass(frozen=True, kw_only=True, slots=True)
class Environment:
    """A Dockerfile in the words of the native format."""

    image: str
    build: tuple[str, ...]
    workdir: str
    files: Files


def read_dockerfile(content: str, context: Files, where: str) -> Environment:
    """Read a Dockerfile whose build context holds `context`. Raises Unsupported for what has no counterpart."""
    if content.count("\n") > MAX_LINES:
        raise Unsupported(f"{where}: more than {MAX_LINES} lines")
    return _Reader(where, context).read(content)


class _Reader:
    def __init__(self, where: str, context: Files) -> None:
        self._where, self._context = where, context
        self._line = 1
        self._image = ""
        self._workdir = "/"
        self._build: list[str] = []
        self._copied: dict[str, bytes] = {}

    def read(self, content: str) -> Environment:
        # The parser reads no other line breaks than Docker does.
        parser = DockerfileParser(fileobj=io.BytesIO(content.encode()))
        for step in parser.structure:
            self._line = step["startline"] + 1
            self._step(step["instruction"], step["value"].strip(), step["content"])
        if not self._image:
            raise Unsupported(f"{self._where}: no FROM")
        if posixpath.normpath(self._workdir) in _OURS:
            raise self._no(f"a working directory {self._workdir}")
        return Environment(
            image=self._image, build=tuple(self._build), workdir=self._workdir, files=self._starting_files()
        )

    def _no(self, feature: str) -> Unsupported:
        return Unsupported(f"{self._where} line {self._line}: {feature}")

    def _step(self, word: str, value: str, content: str) -> None:
        if word in _NO_EFFECT:
            return
        if word == "FROM":
            self._from(value)
        elif not self._image:
            raise self._no(f"{word} before FROM")
        elif word in _LAYERS:
            self._build.append(f"{word} {value}")
        elif word == "WORKDIR":
            self._workdir = posixpath.normpath(posixpath.join(self._workdir, value.strip("\"'")))
            if "$" in value:
                raise self._no("WORKDIR with a variable")
            self._build.append(f"WORKDIR {self._workdir}")
        elif word == "RUN":
            self._run(value, content)
        elif word in {"COPY", "ADD"}:
            self._copy(word, value)
        elif word != "USER" or value not in {"root", "0"}:
            raise self._no(word if word.isascii() and word.isalpha() else "a line that is not an instruction")

    def _from(self, value: str) -> None:
        if self._image:
            raise self._no("several stages (a second FROM)")
        words = [word for word in value.split() if word != "--platform=linux/amd64"]
        if not words or words[0].startswith("--") or "$" in words[0]:
            raise self._no(f"FROM {value:.60}")
        self._image = words[0]

    def _run(self, value: str, content: str) -> None:
        if "<<" in value or value.startswith("--"):
            raise self._no("RUN with " + ("a here-document" if "<<" in value else value.split("=", maxsplit=1)[0]))
        for path in self._copied:
            if posixpath.basename(path) in content or self._workdir + "/" in content:
                raise self._no(f"RUN that uses the copied file {posixpath.basename(path)!r}")
        self._build.append(f"RUN {value}")

    def _copy(self, word: str, value: str) -> None:
        sources = self._words(word, value)
        target = sources.pop()
        if not sources:
            raise self._no(f"{word} without a target")
        whole = posixpath.normpath(posixpath.join(self._workdir, target))
        into = target.endswith("/") or len(sources) > 1 or target in {".", ".."} or whole == self._workdir
        for source in sources:
            if "://" in source or (word == "ADD" and source.endswith((".gz", ".tar", ".tgz", ".xz", ".bz2"))):
                raise self._no("ADD of an archive or from a network")
            self._lay(word, source, whole, into=into)

    def _words(self, word: str, value: str) -> list[str]:
        if value.startswith("--"):
            raise self._no(f"{word} {value.split(maxsplit=1)[0].split('=', maxsplit=1)[0]}")
        try:
            words: Any = json.loads(value) if value.startswith("[") else shlex.split(value)
        except ValueError as error:
            raise self._no(f"{word} that cannot be read") from error
        if not isinstance(words, list) or not words or not all(isinstance(item, str) and item for item in words):
            raise self._no(f"{word} that cannot be read")
        if any("$" in item for item in words):
            raise self._no(f"{word} with a variable")
        return words

    def _lay(self, word: str, source: str, target: str, *, into: bool) -> None:
        """Put what one source of a COPY names where it goes."""
        plain = posixpath.normpath(source.lstrip("/"))
        if plain.startswith(".."):
            raise self._no(f"{word} from outside of the build context")
        matches = self._matching(plain, target, into=into)
        if not matches:
            raise self._no(f"{word} of {source!r:.60}, which is not there")
        self._copied.update(matches)

    def _matching(self, plain: str, target: str, *, into: bool) -> dict[str, bytes]:
        if plain == ".":
            return {posixpath.join(target, path): body for path, body in self._context.items()}
        if plain in self._context:
            return {posixpath.join(target, posixpath.basename(plain)) if into else target: self._context[plain]}
        below = {p.removeprefix(plain + "/"): body for p, body in self._context.items() if p.startswith(plain + "/")}
        if below or not any(char in plain for char in "*?["):
            return {posixpath.join(target, path): body for path, body in below.items()}
        names = [path for path in self._context if "/" not in path and fnmatch.fnmatchcase(path, plain)]
        return {posixpath.join(target, name): self._context[name] for name in names}

    def _starting_files(self) -> dict[str, bytes]:
        top = self._workdir.rstrip("/") + "/"
        for path in self._copied:
            if not path.startswith(top):
                raise Unsupported(f"{self._where}: COPY to {path!r:.80}, outside of the working directory")
        return {path.removeprefix(top): body for path, body in self._copied.items()}


def container_settings(found: Environment, tests: str, logs: str, extra: tuple[str, ...] = ()) -> Mapping[str, Any]:
    """Layers that lead the image's paths to the one place in a box that can be written."""
    links = [f"ln -sfn /workspace/{tests} /tests", f"ln -sfn /workspace/{logs} /logs"]
    if found.workdir != "/workspace":
        links.insert(0, f"rmdir {shlex.quote(found.workdir)} && ln -s /workspace {shlex.quote(found.workdir)}")
    return {"build": [*found.build, *extra, "WORKDIR /", f"RUN {' && '.join(links)}"]}
