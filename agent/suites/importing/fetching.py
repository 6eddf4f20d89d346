"""What a test script would fetch from a network: baked into the image where it can be recognised, refused where not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from agent.suites.importing import baking
from agent.suites.importing.draft import Unsupported
from agent.suites.importing.shell import NETWORK, logical_lines

_BREAK = re.compile(r"&&|\|\||[;|(){}`]|\$\(")
_LEADING = re.compile(r"\A(?:(?:if|then|else|elif|do|while|until|!|time|sudo|exec|[A-Za-z_]\w*=\S*)\s+)+")
_REST = re.compile(r"(?:^|(?<=\s))(?:#.*|[\d&]?>+\s*\S+)")
"""Comments and redirections."""

_PACKAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*(?:\[[A-Za-z0-9_,-]+\])?(?:[=~<>!]=?=?[\w.*]+(?:,[<>=!~]+[\w.*]+)*)?")
_DEBIAN = re.compile(r"[a-z0-9][a-z0-9.+-]*(?:=[\w.+:~-]+)?")
_PIP_INSTALL = re.compile(r"(?:pip3?|python3?(?:\.\d+)? -m pip)(?: -\S+)* install(?: |$)")
_UV = "astral.sh/uv"
_ONLY_TO_GET_UV = frozenset({"curl", "wget", "ca-certificates"})
_WITH_VALUE = frozenset({"-w", "--with", "-p", "--python", "--from", "--index-url", "-i", "--directory", "--project"})
_BROUGHT = frozenset({"-w", "--with", "--from"})
_TALK = frozenset({"echo", "printf", "command", "which", "type", "hash", "#"})
TEST_TOOLS = frozenset({"pytest", "pytest-json-ctrf"})


@dataclass(frozen=True, slots=True)
class Fetched:
    """Packages that a script installs, and whether it uses any tool that would reach for a network."""

    pip: tuple[str, ...] = ()
    apt: tuple[str, ...] = ()
    any: bool = False

    def __add__(self, other: Fetched) -> Fetched:
        """Both together, each package once."""
        pip, apt = (tuple(dict.fromkeys(pair)) for pair in ((*self.pip, *other.pip), (*self.apt, *other.apt)))
        return Fetched(pip, apt, self.any or other.any)

    def layers(self) -> tuple[str, ...]:
        """What puts them into an image, once."""
        found = [baking.apt_install(self.apt)] if self.apt else []
        if any(plain_name(package) not in TEST_TOOLS for package in self.pip):
            found += [baking.PIP, baking.pip_install(self.pip)]
        return tuple(found)


def plain_name(package: str) -> str:
    """A package's name without version and extras."""
    return re.split(r"[\[=~<>!@]", package.strip("'\""))[0].lower().replace("_", "-")


def fetched(script: str, where: str) -> Fetched:
    """What a script fetches. Raises Unsupported for the first line that fetches what cannot be baked in."""
    total = Fetched()
    for number, line in logical_lines(script):
        for words in commands(line):
            found = _command(words)
            if found is None:
                raise Unsupported(f"{where} line {number}: needs a network ({' '.join(words):.40})")
            total += found
    return total


def fetches(words: list[str]) -> bool:
    """Whether a command only installs what can be baked in."""
    found = _command(words)
    return found is not None and found.any


_NOTHING = Fetched()
_ANY = Fetched(any=True)


def commands(line: str) -> Iterator[list[str]]:
    """The commands of one logical line, as words, without what only joins or guards them."""
    for part in _BREAK.split(line):
        said = _REST.sub("", _LEADING.sub("", part.strip() + " ")).strip()
        if said:
            yield [word.strip("'\"") for word in said.split()]


def _command(words: list[str]) -> Fetched | None:
    """What one command fetches; None if that cannot be baked in."""
    if not words or words[0] in _TALK:
        return _NOTHING
    if words[0] in {"apt-get", "apt"}:
        return _apt(words[1:])
    if found := _PIP_INSTALL.match(" ".join(words)):
        return _pip(words[len(found[0].split()) :])
    if words[0] in {"uvx", "uv"}:
        return _uv(words)
    if words[0] in {"curl", "wget"} and _UV in " ".join(words):
        return _ANY
    return None if NETWORK.search(" ".join(words)) else _NOTHING


def _apt(words: list[str]) -> Fetched | None:
    if "install" not in words:
        return _ANY
    packages = [word for word in words[words.index("install") + 1 :] if not word.startswith("-")]
    if not all(_DEBIAN.fullmatch(word) for word in packages):
        return None
    return Fetched(apt=tuple(word for word in packages if word not in _ONLY_TO_GET_UV), any=True)


def _pip(words: list[str]) -> Fetched | None:
    packages: list[str] = []
    for word in words:
        if word in {"-r", "--requirement", "-e", "--editable", "-c", "-i", "--index-url", "--extra-index-url"}:
            return None
        if word.startswith("-"):
            continue
        if not _PACKAGE.fullmatch(word):
            return None
        packages.append(word)
    return Fetched(pip=tuple(packages), any=True)


def _uv(words: list[str]) -> Fetched | None:
    """`uvx ...`, `uv run ...`, `uv add ...`, `uv pip install ...`."""
    if words[0] == "uvx" or words[1:3] == ["tool", "run"]:
        return _tool(words[1:] if words[0] == "uvx" else words[3:], its_own=True)
    if words[1:2] == ["run"]:
        return _tool(words[2:], its_own=False)
    if words[1:2] == ["add"] or words[1:3] == ["pip", "install"]:
        return _pip(words[2:] if words[1] == "add" else words[3:])
    return _ANY if words[1:2] in (["init"], ["venv"], ["--version"]) else None


def _tool(words: list[str], *, its_own: bool) -> Fetched | None:
    """What `uvx` and `uv run` bring along: `--with` packages and, for uvx, the tool itself."""
    packages: list[str] = []
    source = False
    while words and words[0].startswith("-"):
        option, _, value = words.pop(0).partition("=")
        if option in _WITH_VALUE and not value and words:
            value = words.pop(0)
        if option in _BROUGHT:
            packages += value.split(",")
            source = source or option == "--from"
    if its_own and words and not source and plain_name(words[0]) not in map(plain_name, packages):
        packages.append(words[0].replace("@", "=="))
    return Fetched(pip=tuple(packages), any=True) if all(_PACKAGE.fullmatch(package) for package in packages) else None
