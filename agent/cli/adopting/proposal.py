"""From what was found in a repository to the sections of a campaign.yaml."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from agent.base.text import visible
from agent.base.trust import WHOLE, inside
from agent.cli.adopting import others, python
from agent.cli.adopting.source import Found, Source, is_aside, table, top_of
from agent.config.layers import layer_fault
from agent.config.recipes import load_recipe, recipe_names

CONFIG = "campaign.yaml"
LARGE = 1 << 20
KINDS = (others.node, others.go, others.rust, python.look, others.shell)
_NODE = {"node", "npm", "npx"}
_PROMPTS = re.compile(r"(.*/)?(prompts?|templates|instructions|skills)$")
_CODE = re.compile(r".*\.(py|go|rs|[cm]?[jt]sx?|sh|rb|java|kt|c|cc|cpp|h)")
_SAFE_RUN = re.compile(r"apt-get (-\S+ )*(update|install)[^|`$]*")


@dataclass(frozen=True, kw_only=True, slots=True)
class Proposal:
    """What campaign.yaml should say, and what its user should know."""

    scaffold: Mapping[str, object]
    memory_mb: int | None
    suite: str
    notes: tuple[str, ...]
    missing: str


def propose(source: Source, command: tuple[str, ...] = ()) -> Proposal:
    """Look at a repository.

    Args:
        source: its files.
        command: what starts the agent, if its user has said that; without it, the proposal's is empty if nothing was
            found.
    """
    found = _look(source, command)
    mutable = _mutable(source, found)
    frozen = _frozen(source, found) if WHOLE in mutable else sorted(p for p in source.odd if inside(p, mutable))
    large = _large(source, found) if WHOLE in mutable else []
    include = [path for path in [*found.include, *large] if not inside(path, mutable, frozen)]
    itself = _known([_own_name(source)])
    recipe = itself or _known(found.packages)
    command = command or _command(found.command, recipe, itself)
    scaffold = {
        "mutable": tuple(mutable), "frozen": tuple(frozen), "include": tuple(include), "command": command,
        "prepare": found.prepare, "image": found.image, "build": (*_of_dockerfile(source), *found.build),
    }  # fmt: skip
    return Proposal(
        scaffold=scaffold,
        memory_mb=load_recipe(recipe).memory_mb if recipe else None,
        suite=next(iter(_suites(source)), "agentic"),
        notes=(*_notes(source, found, recipe, itself=itself is not None), *map(_about_large, large)),
        missing=found.missing,
    )


def _look(source: Source, command: tuple[str, ...]) -> Found:
    """What the first kind of agent that starts finds; where the user says what starts, Node's look is for Node."""
    said = others.node(source, command)
    if said is not None and any(PurePosixPath(word).name in _NODE for word in command):
        return said
    found = next((look for kind in KINDS if (look := kind(source)) is not None and look.command), None)
    return found or (said if command else None) or Found()


def _command(command: tuple[str, ...], recipe: str | None, itself: str | None) -> tuple[str, ...]:
    """What starts the agent, with the arguments and the variables of its recipe."""
    if itself and command:
        command = _with_arguments(command, itself)
    if recipe and command and (variables := load_recipe(recipe).data["env"]):
        rest = command[1:] if command[0] == "env" else command
        command = ("env", *(f"{name}={value}" for name, value in variables.items()), *rest)
    return command


def _with_arguments(command: tuple[str, ...], recipe: str) -> tuple[str, ...]:
    """The command with the arguments that its recipe knows, and with an end before that of its box."""
    arguments = load_recipe(recipe).data.get("arguments")
    if not arguments:
        return command
    limit = 'timeout -k 5 "$(( ${RATCHET_SECONDS%.*} - 10 ))"'
    return ("sh", "-c", f"exec {limit} {shlex.join(command)} {arguments}")


def _own_name(source: Source) -> str:
    """What the repository calls its own package."""
    given = table(source.toml("pyproject.toml"), "project").get("name") or source.json("package.json").get("name")
    return str(given or "")


def _mutable(source: Source, found: Found) -> list[str]:
    """The code and the prompts; the whole repository where code lies at its top."""
    if not found.code or any(path in source.paths for path in found.code):
        return [WHOLE]
    folders = {path.rpartition("/")[0] for path in source.paths}
    prompts = {one for one in folders if _PROMPTS.fullmatch(one) and not is_aside(top_of(one))}
    return found.code + sorted(p for p in prompts if not inside(p, [*found.code, found.built]))


def _frozen(source: Source, found: Found) -> list[str]:
    """What of a whole repository does not belong to the agent, has no content, is built, or is large."""
    aside = {found.built, *filter(is_aside, source.tops())}
    names = [name for name in source.tops() if name in aside or source.size(name) > LARGE]
    odd = [path for path in sorted(source.odd) if not inside(path, names)]
    own = [path for path in _suites(source) if not inside(path, names)]
    return sorted({*names, *odd, *own, CONFIG})


def _large(source: Source, found: Found) -> list[str]:
    """Folders of code that are too large for patches; a box sees them, since the agent needs them."""
    tops = [name for name in source.tops() if not is_aside(name) and source.size(name) > LARGE and name != found.built]
    return [name for name in tops if any(_CODE.fullmatch(path) for path in source.below(name))]


def _about_large(name: str) -> str:
    return f"{name} is large: boxes see it, but patches cannot change it; name parts of it with --mutable"


def _known(packages: Iterable[str]) -> str | None:
    """The recipe of a framework that the agent is made with."""
    named = {load_recipe(name).data["release"]["package"]: name for name in recipe_names()}
    named["pydantic-ai"] = named["pydantic-ai-slim"]
    return next((named[package] for package in packages if package in named), None)


def _of_dockerfile(source: Source) -> list[str]:
    """The system packages that a Dockerfile installs; the rest of it is for its own image."""
    text = re.sub(r"\\\n\s*", " ", source.text("Dockerfile"))
    runs = [" ".join(line.split()[1:]) for line in text.splitlines() if line.upper().startswith("RUN ")]
    return [f"RUN {run}" for run in runs if _is_plain(run) and layer_fault(f"RUN {run}") is None]


def _is_plain(run: str) -> bool:
    """Whether a line installs system packages and does nothing else."""
    parts = [part.strip() for part in run.split("&&")]
    return all(_SAFE_RUN.fullmatch(part) or part.startswith("rm -rf /var/lib/apt") for part in parts)


def _suites(source: Source) -> list[str]:
    """The folders of the suites that the repository holds."""
    return [path.rpartition("/")[0] for path in source.paths if path.endswith("/suite.yaml")]


def _notes(source: Source, found: Found, recipe: str | None, *, itself: bool) -> Iterable[str]:
    if found.why:
        yield f"the command: {found.why}"
    if itself:
        title = load_recipe(str(recipe)).data["title"]
        yield f"it is {title}, which has a recipe: variables and arguments are from recipes/{recipe}"
    elif recipe:
        yield f"it uses {load_recipe(recipe).data['title']}: the variables are those of that recipe"
    yield from found.notes
    if "Dockerfile" in source.paths:
        yield "Dockerfile: the system packages that it installs are proposed; the rest is not looked at"
    if any(re.match(r"tests?/", path) for path in source.paths):
        yield "its tests are neither mutable nor shown to boxes"
    if not any("runs" in line for line in source.text(".gitignore").splitlines()):
        yield "campaigns are kept in runs/: name it in .gitignore"
    if odd := [visible(path) for path in sorted(source.odd)]:
        yield f"boxes do not get what these stand for (links, submodules, LFS pointers): {', '.join(odd[:5])}"
