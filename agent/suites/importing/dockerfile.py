"""What of a Dockerfile the native format can say: an image, layers that change no file of the task, starting files.

A box is read-only but for `/workspace`. So the working directory of the image becomes a link to it. What COPY puts
below it becomes starting files; what COPY puts elsewhere, or what a RUN uses, is baked into the image. Empty folders
there are carried; a Dockerfile that leaves other files there by a RUN fails in the build itself.
"""

from __future__ import annotations

import fnmatch
import io
import json
import posixpath
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from dockerfile_parse import DockerfileParser

from agent.base.types import NO_FILES, Files
from agent.suites.importing import baking
from agent.suites.importing.draft import Unsupported
from agent.suites.importing.harbor_fates import OWN_USER
from agent.suites.importing.heredocs import unfolded
from agent.suites.tree import suite_path_fault

MAX_LINES = 2000
_NO_EFFECT = frozenset({"CMD", "LABEL", "EXPOSE", "MAINTAINER", "COMMENT", "VOLUME", "STOPSIGNAL", "HEALTHCHECK"})
_LAYERS = frozenset({"ENV", "ARG", "SHELL"})
_OURS = frozenset(
    {"/tmp", "/tests", "/logs", "/task", "/scaffold", "/proc", "/sys", "/dev", "/run"}  # noqa: S108
)
TASK = "/task"
"""Where a box has the instruction: as the working directory of an image it becomes the workspace, which gets a copy."""

_MOUNTED = frozenset({"/tests", "/task", "/scaffold", "/proc", "/sys", "/dev"})
"""What a machine has from outside."""

_EMPTIED = "/tmp"  # noqa: S108 - of a box
_SYSTEM = frozenset({"bin", "boot", "etc", "lib", "lib64", "media", "mnt", "root", "sbin", "usr", "var", "home", "opt"})
_MENTIONED = re.compile(r"(?<![\w./-])/([A-Za-z][\w-]*)(?=[/\s`'\".,;:)]|$)")
_ARGUMENT = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}|\$(\w+)")
_USER = re.compile(r"[a-z_][a-z0-9_-]*|[0-9]+")
_MOUNTS = re.compile(r"\A(?:--mount=type=cache,\S+\s+)+")
"""Caches of a build, which change nothing in the image."""

_HARMLESS_OPTIONS = ("--chown=", "--chmod=", "--link")
_UV_IMAGE = re.compile(r"--from=ghcr\.io/astral-sh/uv(?::(?:latest|(?P<version>\d+(?:\.\d+)*)[\w.-]*))?(?:@\S+)?\s")


@dataclass(frozen=True, kw_only=True, slots=True)
class Environment:
    """A Dockerfile in the words of the native format."""

    image: str
    build: tuple[str, ...]
    workdir: str
    files: Files
    checked: Files = field(default_factory=lambda: NO_FILES)
    """Starting files that are also in the image, for a RUN: by their paths in it."""
    remarks: tuple[str, ...] = ()


def read_dockerfile(
    content: str, context: Files, where: str, *, workdir: str | None = None, about: str = "", machine: bool = False
) -> Environment:
    """Read a Dockerfile whose build context holds `context`.

    Args:
        content: the Dockerfile.
        context: files of the build context, by path.
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
    reader = _MachineReader if machine else _Reader
    return reader(where, {**context, **copied}).read(plain, workdir, about)


class _Reader:
    def __init__(self, where: str, context: Files) -> None:
        self._where, self._context = where, context
        self._line = 1
        self._image = ""
        self._workdir, self._user = "/", ""
        self._arguments: dict[str, str] = {}
        self._stages: set[str] = set()
        self._build: list[str] = []
        self._copied: dict[str, bytes] = {}
        self._baked: dict[str, bytes] = {}
        self._folders: list[str] = []
        self._remarks: list[str] = []

    def read(self, content: str, workdir: str | None, about: str) -> Environment:
        # The parser reads no other line breaks than Docker does.
        parser = DockerfileParser(fileobj=io.BytesIO(content.encode()))
        for step in parser.structure:
            self._line = step["startline"] + 1
            self._step(step["instruction"], step["value"].strip(), step["content"])
        if not self._image:
            raise Unsupported(f"{self._where}: no FROM")
        return self._finish(self._top(workdir, about))

    def _finish(self, top: str) -> Environment:
        """What was read, once every line was."""
        self._bake([path for path in self._copied if not path.startswith(f"{top}/")])
        if top != TASK and any(path.startswith(f"{TASK}/") for path in self._baked):
            raise self._no(f"COPY to {TASK}, which a box fills itself")
        kept = {path: body for path, body in self._copied.items() if path.startswith(f"{top}/")}
        self._keep_folders(kept, top)
        return Environment(
            image=self._image,
            build=tuple(self._build),
            workdir=top,
            files={path.removeprefix(f"{top}/"): body for path, body in kept.items()},
            checked={path: body for path, body in self._baked.items() if path.startswith(f"{top}/")},
            remarks=tuple(self._remarks),
        )

    def _top(self, workdir: str | None, about: str) -> str:
        """The folder that /workspace stands for."""
        chosen = posixpath.normpath(posixpath.join("/", workdir or self._workdir))
        if chosen == "/" and (named := work_folder(self._copied, about)):
            self._remarks.append(f"the working directory / cannot be written: work starts in {named}")
            chosen = named
        if chosen == "/" or (f"/{chosen.split('/')[1]}" in _OURS and chosen != TASK):
            raise self._no(f"a working directory {chosen}")
        return chosen

    def _bake(self, paths: Sequence[str]) -> None:
        """Put copied files into the image itself, where nothing can change them any more."""
        new = {path: self._copied[path] for path in paths if self._baked.get(path) != self._copied[path]}
        tops = {path: f"/{path.split('/')[1]}" for path in new}
        if _EMPTIED in tops.values():
            self._remarks.append(
                f"{self._where}: files in {_EMPTIED} are there for the build; a box starts without them"
            )
        if path := next((path for path, top in tops.items() if top in _OURS - {_EMPTIED, TASK}), None):
            raise self._no(f"COPY to {path!r:.80}, which a box fills itself")
        self._baked.update(new)
        self._build += baking.layers(new)
        if sum(map(len, self._baked.values())) > baking.MAX_BYTES:
            raise self._no(f"more than {baking.MAX_BYTES >> 10} KiB of copied files outside of the working directory")

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
            self._before_from(word, value)
        elif word in _LAYERS:
            self._build.append(f"{word} {value}")
        elif word == "RUN":
            self._run(value, content)
        elif word in {"COPY", "ADD"}:
            self._copy(word, value)
        else:
            self._state(word, value)

    def _before_from(self, word: str, value: str) -> None:
        if word != "ARG":
            raise self._no(f"{word} before FROM")
        name, _, default = value.partition("=")
        self._arguments[name.strip()] = default.strip().strip("\"'")

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
        words = [word for word in value.split() if word != "--platform=linux/amd64"]
        base = self._filled(words[0]) if words else ""
        if not base or base.startswith("--") or "$" in base:
            raise self._no(f"FROM {value:.60}")
        if self._image and base not in self._stages:
            raise self._no("several stages (a second FROM)")
        # A stage that is built on the one before only continues it.
        self._image = self._image or base
        if len(words) == len(("base", "AS", "name")) and words[1].upper() == "AS":
            self._stages = {words[2]}

    def _filled(self, text: str) -> str:
        """A text with the arguments that are given before FROM."""

        def value(found: re.Match[str]) -> str:
            name, default = found[1] or found[3], found[2] or ""
            return self._arguments.get(name) or default or found[0]

        return _ARGUMENT.sub(value, text)

    def _become(self, value: str) -> None:
        """Later RUN lines are another user's; a box has a user of its own."""
        name = self._filled(value).partition(":")[0]
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
        if sum(map(len, self._copied.values())) <= baking.MAX_BYTES or self._mentions(content):
            self._bake([*self._copied])
        self._folders += _made_folders(value, self._workdir)
        self._build.append(f"RUN {as_user(self._user, value)}")

    def _mentions(self, content: str) -> bool:
        names = map(posixpath.basename, self._copied)
        return f"{self._workdir}/" in content or any(name in content for name in names)

    def _copy(self, word: str, value: str) -> None:
        if self._uv_of(value):
            return
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

    def _uv_of(self, value: str) -> bool:
        """Whether a COPY only brings uv from its own image: then pip brings it."""
        if not (found := _UV_IMAGE.match(value)):
            return False
        self._build += install_uv(found["version"])
        return True

    def _words(self, word: str, value: str) -> list[str]:
        while value.startswith(_HARMLESS_OPTIONS):
            option, _, value = value.partition(" ")
            value = value.strip()
            if option != "--link":
                self._remarks.append(f"{self._where} line {self._line}: {option}: a box sets owner and mode itself")
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
            context = {path: body for path, body in self._context.items() if path != "Dockerfile"}
            return {posixpath.join(target, path): body for path, body in context.items()}
        if plain in self._context:
            return {posixpath.join(target, posixpath.basename(plain)) if into else target: self._context[plain]}
        below = {p.removeprefix(plain + "/"): body for p, body in self._context.items() if p.startswith(plain + "/")}
        if below or not any(char in plain for char in "*?["):
            return {posixpath.join(target, path): body for path, body in below.items()}
        names = [path for path in self._context if "/" not in path and fnmatch.fnmatchcase(path, plain)]
        return {posixpath.join(target, name): self._context[name] for name in names}


class _MachineReader(_Reader):
    """Reads a Dockerfile for a machine: nothing is moved, and all that is copied is baked in."""

    def _top(self, workdir: str | None, about: str) -> str:  # noqa: ARG002 - every folder can be worked in
        chosen = posixpath.normpath(posixpath.join("/", workdir or self._workdir))
        if f"/{chosen.split('/')[1]}" in _MOUNTED:
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
            checked=dict(self._copied),
            remarks=tuple(self._remarks),
        )

    def _bake(self, paths: Sequence[str]) -> None:
        new = {path: self._copied[path] for path in paths if self._baked.get(path) != self._copied[path]}
        if path := next((path for path in new if f"/{path.split('/')[1]}" in _MOUNTED), None):
            raise self._no(f"COPY to {path!r:.80}, which a box fills itself")
        self._baked.update(new)
        self._build += baking.layers(new)
        if sum(map(len, self._baked.values())) > baking.MAX_MACHINE_BYTES:
            raise self._no(
                f"more than {baking.MAX_MACHINE_BYTES >> 10} KiB of copied files that are not starting files"
            )

    def _run(self, value: str, content: str) -> None:
        if sum(map(len, self._copied.values())) <= baking.MAX_MACHINE_BYTES:
            self._bake([*self._copied])
        super()._run(value, content)


def as_user(user: str, command: str) -> str:
    """A shell command as another user runs it; as it is for root."""
    if not user:
        return command
    script = shlex.quote(command)
    if user.isdigit():
        return f"setpriv --reuid={user} --regid={user} --clear-groups sh -c {script}"
    return f"su -s /bin/sh {user} -c {script}"


def install_uv(version: str | None) -> list[str]:
    """Layers that bring uv by pip, in place of a copy from its own image."""
    package = f"uv=={version}" if version and version.count(".") == 2 else "uv"  # noqa: PLR2004 - a whole version
    return [baking.PIP, baking.pip_install([package])]


def _made_folders(command: str, workdir: str) -> list[str]:
    """The folders that a RUN makes by a plain mkdir."""
    found = []
    for part in re.split(r"&&|\|\||[;|\n]", command):
        words = part.split()
        if words[:1] == ["mkdir"]:
            plain = [w.strip("'\"") for w in words[1:] if not w.startswith("-") and not set(w) & set("$*?{}()`<>\\")]
            found += [posixpath.normpath(posixpath.join(workdir, word)) for word in plain if word]
    return found


def work_folder(copied: Files, about: str) -> str | None:
    """The folder at the top that files are copied to or, else, that the instruction names most."""
    tops = [path.split("/")[1] for path in copied if path.count("/") > 1]
    for names in (tops, _MENTIONED.findall(about)):
        usable = [name for name in names if name not in _SYSTEM and f"/{name}" not in _OURS]
        if usable:
            return "/" + max(dict.fromkeys(usable), key=usable.count)
    return None
