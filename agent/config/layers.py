"""Image layers in suites and in campaign.yaml: which Dockerfile instructions may be written."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from agent.base.types import NO_FILES, Files

BUILD_WORDS = ("RUN", "COPY", "ENV", "ARG", "SHELL", "WORKDIR")
OWN_BASE = "ratchet-box"
"""What Dockerfiles and stages name in FROM when they mean Ratchet's own image."""

_OWNER, _FROM = "--chown=", "--from="


@dataclass(frozen=True, kw_only=True, slots=True)
class Layers:
    """Dockerfile instructions, and the files that their COPY lines take, by their paths in the build context."""

    lines: tuple[str, ...] = ()
    files: Files = field(default_factory=lambda: NO_FILES, compare=False)  # the lines name their content
    stages: Mapping[str, Stage] = field(default_factory=lambda: MappingProxyType({}), compare=False)  # as do these
    """What `COPY --from` takes from, by the name in the line."""

    def __add__(self, more: Layers) -> Layers:
        files, stages = {**self.files, **more.files}, {**self.stages, **more.stages}
        return Layers(lines=(*self.lines, *more.lines), files=files, stages=stages)

    def on(self, below: Layers) -> Layers:
        """These layers on others, without the lines that those have run already: many agents install Node alike."""
        more = tuple(line for line in self.lines if line not in below.lines)
        return below + Layers(lines=more, files=self.files, stages=self.stages)


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """An image that is built only to copy from: layers on a base."""

    base: str
    layers: Layers


@dataclass(frozen=True, kw_only=True, slots=True)
class Copy:
    """A COPY instruction: what it takes, where to, and its options."""

    sources: tuple[str, ...]
    target: str
    options: tuple[str, ...] = ()

    @property
    def stage(self) -> str | None:
        """The stage that it takes from; None if that is the build context."""
        return next((option.removeprefix(_FROM) for option in self.options if option.startswith(_FROM)), None)


def copy_of(line: str) -> Copy | None:
    """The COPY instruction in a layer that has no fault; None if it is another instruction."""
    word, _, rest = line.strip().partition(" ")
    if word.upper() != "COPY":
        return None
    options, names = _words(rest)
    *sources, target = names
    return Copy(sources=tuple(map(posixpath.normpath, sources)), target=target, options=tuple(options))


def _words(rest: str) -> tuple[list[str], list[str]]:
    """Options and names of a COPY instruction; names as words or as a JSON array."""
    words = rest.replace("\\\n", " ").split()
    count = next((n for n, word in enumerate(words) if not word.startswith("--")), len(words))
    names = words[count:]
    try:
        parsed = json.loads(" ".join(names))
    except ValueError:
        return words[:count], names
    return words[:count], [str(name) for name in parsed] if isinstance(parsed, list) else names


def stage_base(line: str) -> str | None:
    """The image that a stage begins with; None if its first line does not name one."""
    word, _, base = line.strip().partition(" ")
    return base.strip() if word.upper() == "FROM" and len(base.split()) == 1 and "$" not in base else None


def layer_fault(line: str, stages: Collection[str] = ()) -> tuple[str, str] | None:
    """What is wrong with one layer, and the fix; None if nothing is. COPY may take from `stages`."""
    word, _, rest = line.strip().partition(" ")
    if word.upper() not in BUILD_WORDS or not rest.strip():
        return f"{line!r:.60} is not offered", f"Begin with {', '.join(BUILD_WORDS)}."
    if "\n" in line.strip().replace("\\\n", ""):
        return f"{line!r:.60} is more than one instruction", "Make it items of the list."
    return _copy_fault(line, *_words(rest), stages) if word.upper() == "COPY" else None


def _copy_fault(
    line: str, options: Sequence[str], names: Sequence[str], stages: Collection[str]
) -> tuple[str, str] | None:
    known = [f"{_FROM}{stage}" for stage in stages]
    if other := next((option for option in options if not option.startswith(_OWNER) and option not in known), None):
        return f"{line!r:.60} has the option {other!r:.40}", f"COPY takes {', '.join([_OWNER, *known])} only."
    if len(names) < 2:  # noqa: PLR2004 - a source and a target
        return f"{line!r:.60} names no target", "Write COPY FILE... /FOLDER/."
    inside = not set(options) & set(known)
    if wrong := next((name for name in names[:-1] if inside and not _is_below(name)), None):
        fix = "Name files or folders by their paths from its top, as COPY package.json /."
        return f"{line!r:.60}: {wrong!r:.40} is not below the top of the repository", fix
    if len(names) > 2 and not names[-1].endswith("/"):  # noqa: PLR2004
        return f"{line!r:.60} copies several files", "End the target with `/`."
    return None


def _is_below(name: str) -> bool:
    """Whether a name stays below the top, and is not all of it; variables and heredocs are refused."""
    first = posixpath.normpath(name).split("/")[0]
    return bool(name) and first not in {"", ".", ".."} and not name.startswith("<<") and "$" not in name


def checked_layer(line: str) -> str:
    """The same line. Raises ValueError with problem and fix."""
    if fault := layer_fault(line):
        raise ValueError(". ".join(fault))
    return line
