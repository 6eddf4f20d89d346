"""What of a Dockerfile the native format can say: an image, layers that change no file of the task, starting files.

A box is read-only but for `/workspace`. So the working directory of the image becomes a link to it. What COPY puts
below it becomes starting files; what COPY puts elsewhere, or what a RUN uses, is baked into the image. Empty folders
there are carried; a Dockerfile that leaves other files there by a RUN fails in the build itself. Stages that a COPY
takes from become images of their own.
"""

from __future__ import annotations

import io
import json
import posixpath
import re
import shlex
from collections.abc import Iterable, Sequence
from typing import Any

from dockerfile_parse import DockerfileParser

from agent.base.types import Files
from agent.suites.importing import baking
from agent.suites.importing.copies import Hidden, brought, laid, mentioned, returning, sent
from agent.suites.importing.draft import Unsupported
from agent.suites.importing.environment import Environment
from agent.suites.importing.folders import EMPTIED, MOUNTED, OURS, TASK, made_folders, work_folder
from agent.suites.importing.harbor_fates import OWN_USER
from agent.suites.importing.heredocs import unfolded
from agent.suites.importing.stages import (
    PLATFORM,
    UV,
    Dockerfile,
    Stage,
    arguments,
    filled,
    image_stage,
    needed,
    split,
)
from agent.suites.tree import suite_path_fault

MAX_LINES = 2000
_NO_EFFECT = frozenset({"CMD", "LABEL", "EXPOSE", "MAINTAINER", "COMMENT", "VOLUME", "STOPSIGNAL", "HEALTHCHECK"})
_LAYERS = frozenset({"ENV", "ARG", "SHELL"})
_USER = re.compile(r"[a-z_][a-z0-9_-]*|[0-9]+")
_MOUNTS = re.compile(r"\A(?:--mount=type=cache,\S+\s+)+")
"""Caches of a build, which change nothing in the image."""

_HARMLESS_OPTIONS = ("--chown=", "--chmod=", "--link")
_FROM = "--from="


def read_dockerfile(
    content: str, context: Files, where: str, *, workdir: str | None = None, about: str = "", machine: bool = False
) -> Environment:
    """Read a Dockerfile whose build context holds `context`.

    Args:
        content: the Dockerfile.
        context: files of the build context, by path; those that are `Hidden` do not come into the image.
        where: what messages call the Dockerfile.
        workdir: the working directory in place of the last WORKDIR.
        about: the instruction; the folder that it names stands for a working directory that a box cannot have.
        machine: whether the box's whole root can be written: then the image stays as the Dockerfile makes it.

    Raises:
        Unsupported: an instruction that has no counterpart.
    """
    if content.count("\n") > MAX_LINES:
        raise Unsupported(f"{where}: more than {MAX_LINES} lines")
    plain, copied = unfolded(content, where)
    # The parser reads no other line breaks than Docker does.
    steps = DockerfileParser(fileobj=io.BytesIO(plain.encode())).structure
    given = arguments(steps)
    parts = split(steps, lambda text: filled(text, given))
    if not parts.stages:
        raise Unsupported(f"{where}: no FROM")
    if len({stage.name for stage in parts.stages}) < len(parts.stages):
        raise Unsupported(f"{where}: two stages of one name")
    whole, stages = {**sent(context), **copied}, dict[str, tuple[str, ...]]()
    for stage in needed(parts):
        found = _StageReader(where, whole, parts, stages).read(stage, None, "")
        stages[stage.name] = (f"FROM {found.image}", *found.build)
    return (_MachineReader if machine else _Reader)(where, whole, parts, stages).read(parts.stages[-1], workdir, about)


class _Reader:
    """Reads one stage; `stages` are those that were read before it, and gets the images that it copies from."""

    _reserved = OURS - {EMPTIED, TASK}
    """What a box fills itself."""

    def __init__(self, where: str, context: Files, parts: Dockerfile, stages: dict[str, tuple[str, ...]]) -> None:
        self._where, self._context, self._parts, self._stages = where, context, parts, stages
        self._line = 1
        self._image = ""
        self._workdir, self._user = "/", ""
        self._arguments = arguments(parts.head)
        self._number = 0
        self._brought: list[str] = []
        self._build: list[str] = []
        self._copied: dict[str, bytes] = {}
        self._left_out: dict[str, str] = {}
        self._baked: dict[str, bytes] = {}
        self._folders: list[str] = []
        self._remarks: list[str] = []

    def read(self, stage: Stage, workdir: str | None, about: str) -> Environment:
        self._number = self._parts.stages.index(stage)
        for step in (*self._parts.head, *stage.steps):
            self._line = step["startline"] + 1
            self._step(step["instruction"], step["value"].strip(), step["content"])
        return self._finish(self._top(workdir, about))

    def _finish(self, top: str) -> Environment:
        """What was read, once every line was."""
        self._bake([path for path in self._copied if not path.startswith(f"{top}/")])
        if top != TASK and any(f"{path}/".startswith(f"{TASK}/") for path in (*self._baked, *self._brought)):
            raise self._no(f"COPY to {TASK}, which a box fills itself")
        if at := next((at for at in returning(self._left_out) if not at.startswith(f"{top}/")), None):
            raise self._no(f"COPY of a hidden test to {at!r:.60}, where grading cannot write")
        kept = {path: body for path, body in self._copied.items() if path.startswith(f"{top}/")}
        self._keep_folders(kept, top)
        return Environment(
            image=self._image,
            build=tuple(self._build),
            workdir=top,
            files={path.removeprefix(f"{top}/"): body for path, body in kept.items()},
            baked=self._baked,
            remarks=tuple(self._remarks),
            stages=self._stages,
            left_out=self._left_out,
        )

    def _top(self, workdir: str | None, about: str) -> str:
        """The folder that /workspace stands for."""
        chosen = posixpath.normpath(posixpath.join("/", workdir or self._workdir))
        if chosen == "/" and (named := work_folder(self._copied, about)):
            self._remarks.append(f"the working directory / cannot be written: work starts in {named}")
            chosen = named
        if chosen == "/" or (f"/{chosen.split('/')[1]}" in OURS and chosen != TASK):
            raise self._no(f"a working directory {chosen}")
        return chosen

    def _bake(self, paths: Sequence[str]) -> None:
        """Put copied files into the image itself, where nothing can change them any more."""
        new = {path: self._copied[path] for path in paths if self._baked.get(path) != self._copied[path]}
        tops = {path: f"/{path.split('/')[1]}" for path in new}
        if EMPTIED in tops.values():
            self._remarks.append(
                f"{self._where}: files in {EMPTIED} are there for the build; a box starts without them"
            )
        self._not_reserved(new)
        self._baked.update(new)
        self._build += baking.layers(new)
        if sum(map(len, self._baked.values())) > baking.MAX_BYTES:
            raise self._no(f"more than {baking.MAX_BYTES >> 10} KiB of copied files outside of the working directory")

    def _not_reserved(self, paths: Iterable[str]) -> None:
        if path := next((path for path in paths if f"/{path.split('/')[1]}" in self._reserved), None):
            raise self._no(f"COPY to {path!r:.80}, which a box fills itself")

    def _keep_folders(self, kept: dict[str, bytes], top: str) -> None:
        """Empty folders that a RUN makes below the working directory stay there, by an empty file."""
        for folder in self._folders:
            if folder.startswith(f"{top}/") and not any(path.startswith(f"{folder}/") for path in kept):
                kept[f"{folder}/.keep"] = b""
                self._remarks.append(f"the empty folder {folder} holds an empty file .keep")

    def _no(self, feature: str) -> Unsupported:
        return Unsupported(f"{self._where} line {self._line}: {feature}")

    def _step(self, word: str, value: str, content: str) -> None:
        if word in _NO_EFFECT:
            return
        if word == "FROM":
            self._from(value)
        elif not self._image:
            self._before_from(word)
        elif word in _LAYERS:
            self._build.append(f"{word} {value}")
        elif word == "RUN":
            self._run(value, content)
        elif word in {"COPY", "ADD"}:
            self._copy(word, value)
        else:
            self._state(word, value)

    def _before_from(self, word: str) -> None:
        if word != "ARG":
            raise self._no(f"{word} before FROM")

    def _state(self, word: str, value: str) -> None:
        """What changes how later lines work, or how a container would start."""
        if word == "WORKDIR":
            self._workdir = posixpath.normpath(posixpath.join(self._workdir, value.strip("\"'")))
            if "$" in value:
                raise self._no("WORKDIR with a variable")
            self._build.append(f"WORKDIR {self._workdir}")
        elif word == "USER":
            self._become(value)
        elif word != "ENTRYPOINT":
            raise self._no(word if word.isascii() and word.isalpha() else "a line that is not an instruction")
        elif value != "[]":
            self._remarks.append(f"{self._where} line {self._line}: ENTRYPOINT is not run: a box starts nothing")

    def _from(self, value: str) -> None:
        words = [word for word in value.split() if word != PLATFORM]
        self._image = filled(words[0], self._arguments) if words else ""
        if self._image in {"", "scratch"} or self._image.startswith("--") or "$" in self._image:
            raise self._no(f"FROM {value:.60}")

    def _become(self, value: str) -> None:
        """Later RUN lines are another user's; a box has a user of its own."""
        name = filled(value, self._arguments).partition(":")[0]
        if not _USER.fullmatch(name):
            raise self._no(f"USER {value:.40}")
        self._user = "" if name in {"root", "0"} else name
        if self._user:
            self._remarks.append(f"{self._where} line {self._line}: USER {name}: {OWN_USER}")

    def _run(self, value: str, content: str) -> None:
        if value.startswith("--"):
            value = _MOUNTS.sub("", value)
        if value.startswith("--"):
            raise self._no(f"RUN with {value.split('=', maxsplit=1)[0]}")
        if hidden := mentioned(self._left_out, content):
            raise self._no(f"RUN uses {hidden!r:.60}, a hidden test")
        self._bake_early(content)
        self._folders += made_folders(value, self._workdir)
        self._build.append(f"RUN {baking.as_user(self._user, value)}")

    def _bake_early(self, content: str) -> None:
        """What was copied must be in the image before a line that may use or change it."""
        if sum(map(len, self._copied.values())) <= baking.MAX_BYTES or self._mentions(content):
            self._bake([*self._copied])

    def _mentions(self, content: str) -> bool:
        names = map(posixpath.basename, self._copied)
        return f"{self._workdir}/" in content or any(name in content for name in names)

    def _copy(self, word: str, value: str) -> None:
        origin, value = self._options(word, value)
        sources = self._words(word, value)
        target = sources.pop()
        if not sources:
            raise self._no(f"{word} without a target")
        whole = posixpath.normpath(posixpath.join(self._workdir, target))
        into = target.endswith("/") or len(sources) > 1 or target in {".", ".."} or whole == self._workdir
        if origin is not None:
            self._bring(origin, sources, whole.rstrip("/") + "/" if into else whole)
            return
        for source in sources:
            if "://" in source or (word == "ADD" and source.endswith((".gz", ".tar", ".tgz", ".xz", ".bz2"))):
                raise self._no("ADD of an archive or from a network")
            self._lay(word, source, whole, into=into)

    def _bring(self, origin: str, sources: Sequence[str], target: str) -> None:
        """A COPY from another stage, or from an image; of uv's own image: then pip brings it."""
        stage = self._parts.named(origin, self._number)
        if found := UV.fullmatch(stage.base if stage else origin):
            self._build += baking.install_uv(found["version"])
            return
        name = stage.name if stage else image_stage(origin)
        if not stage and self._stages.setdefault(name, (f"FROM {origin}",)) != (f"FROM {origin}",):
            raise self._no(f"COPY from {origin:.60}, which is called as another one is")
        self._not_reserved([target])
        self._bake_early(" ".join(sources))
        self._brought.append(target.rstrip("/"))
        paths = [*sources, target]
        said = json.dumps(paths, ensure_ascii=False) if any(" " in path for path in paths) else " ".join(paths)
        self._build.append(f"COPY {_FROM}{name} {said}")

    def _options(self, word: str, value: str) -> tuple[str | None, str]:
        """What a COPY takes from, if that is not the build context, and the rest without its options."""
        origin = None
        while value.startswith((_FROM, *_HARMLESS_OPTIONS)):
            option, _, value = value.partition(" ")
            value = value.strip()
            if option.startswith(_FROM):
                origin = filled(option.removeprefix(_FROM), self._arguments)
            elif option != "--link":
                self._remarks.append(f"{self._where} line {self._line}: {option}: a box sets owner and mode itself")
        if value.startswith("--") or (origin is not None and (not origin or "$" in origin)):
            raise self._no(f"{word} {value.split(maxsplit=1)[0].split('=', maxsplit=1)[0]}")
        return origin, value

    def _words(self, word: str, value: str) -> list[str]:
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
        matches = brought(self._context, plain, target, into=into)
        if not matches:
            raise self._no(f"{word} of {source!r:.60}, which is not there")
        hidden = {at: path for at, path in matches.items() if isinstance(self._context[path], Hidden)}
        self._copied.update({at: self._context[path] for at, path in matches.items() if at not in hidden})
        self._left_out = {at: path for at, path in self._left_out.items() if at not in matches}
        if hidden:
            self._leave_out(hidden)

    def _leave_out(self, hidden: dict[str, str]) -> None:
        """Only the folders of hidden files are there: later lines may work in them."""
        elsewhere = [at for at, path in hidden.items() if not laid(at, path)]
        self._not_reserved(elsewhere)
        self._copied = {at: body for at, body in self._copied.items() if at not in hidden}
        self._left_out.update(hidden)
        if folders := sorted(set(map(posixpath.dirname, elsewhere))):
            self._folders += folders
            self._build.append(f"RUN mkdir -p {shlex.join(folders)}")


class _MachineReader(_Reader):
    """Reads a Dockerfile for a machine: nothing is moved, and all that is copied is baked in."""

    _reserved = MOUNTED

    def _top(self, workdir: str | None, about: str) -> str:  # noqa: ARG002 - every folder can be worked in
        chosen = posixpath.normpath(posixpath.join("/", workdir or self._workdir))
        if f"/{chosen.split('/')[1]}" in MOUNTED:
            raise self._no(f"a working directory {chosen}")
        return chosen

    def _finish(self, top: str) -> Environment:
        below = top.rstrip("/") + "/"
        fits = sum(map(len, self._copied.values())) <= baking.MAX_MACHINE_BYTES
        later = set() if fits else {p for p in self._copied if p.startswith(below) and not suite_path_fault(p[1:])}
        self._bake([path for path in self._copied if path not in later])
        return Environment(
            image=self._image,
            build=tuple(self._build),
            workdir=top,
            files={path.removeprefix(below): self._copied[path] for path in sorted(later - self._baked.keys())},
            baked=self._baked,
            remarks=tuple(self._remarks),
            stages=self._stages,
            left_out=self._left_out,
        )

    def _bake(self, paths: Sequence[str]) -> None:
        new = {path: self._copied[path] for path in paths if self._baked.get(path) != self._copied[path]}
        self._not_reserved(new)
        self._baked.update(new)
        self._build += baking.layers(new)
        if sum(map(len, self._baked.values())) > baking.MAX_MACHINE_BYTES:
            raise self._no(
                f"more than {baking.MAX_MACHINE_BYTES >> 10} KiB of copied files that are not starting files"
            )

    def _bake_early(self, content: str) -> None:
        if sum(map(len, self._copied.values())) <= baking.MAX_MACHINE_BYTES:
            self._bake([*self._copied])
        super()._bake_early(content)


class _StageReader(_MachineReader):
    """Reads a stage that is only copied from: all of it is in an image, in which no box works."""

    _reserved = frozenset()

    def _top(self, workdir: str | None, about: str) -> str:  # noqa: ARG002 - nobody works there
        return "/"

    def _leave_out(self, hidden: dict[str, str]) -> None:
        raise self._no(f"COPY of {next(iter(hidden.values()))!r:.60}, a hidden file, into a stage")

    def _finish(self, top: str) -> Environment:
        self._bake([*self._copied])
        return Environment(image=self._image, build=tuple(self._build), workdir=top, files={})
