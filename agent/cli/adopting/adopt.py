"""`ratchet init --agent PATH|URL`: a campaign.yaml for somebody's own agent, beside its code."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from agent.base.errors import UserError
from agent.base.git_environment import git_environment
from agent.base.text import visible
from agent.cli.adopting.proposal import CONFIG, Proposal, propose
from agent.cli.adopting.source import Source
from agent.config.campaign import BoxConfig, ScaffoldConfig, load_config
from agent.config.template import render_agent
from agent.kernel.loop.opening import open_repository, scaffold_layers
from agent.kernel.loop.settings import boundary_of
from agent.suites.loader import load_suite

_SCHEMES = ("http://", "https://", "ssh://", "git@", "file://")


@dataclass(frozen=True, kw_only=True, slots=True)
class Answers:
    """What the user said on the command line; None or empty: what the look at the repository proposes."""

    command: str | None = None
    mutable: Sequence[str] = ()
    suite: str | None = None


Ask = Callable[[str, str], str]
"""A question and its default -> the answer."""


def is_repository(agent: str) -> bool:
    """Whether `--agent` names a folder or an address, not a recipe."""
    return agent.startswith(_SCHEMES) or Path(agent).is_dir()


def adopt(agent: str, folder: Path | None, answers: Answers, *, force: bool, ask: Ask | None) -> tuple[Path, list[str]]:
    """Look at an agent and write its campaign.yaml; returns the file, and what its user should know.

    Args:
        agent: the top of a work tree, or an address to clone from.
        folder: where to clone it; None leaves a work tree where it is.
        answers: from the command line.
        force: whether an existing campaign.yaml may be replaced.
        ask: asks the user; None takes what is proposed.

    Raises:
        UserError: it cannot be cloned or built, nothing that starts was found, or the doctor would reject the file.
    """
    root = _root(agent, folder)
    file = root / CONFIG
    if file.exists() and not force:
        raise UserError(str(file), "the file exists", "Add --force to replace it.")
    source = Source.at(root)
    proposal = _answered(_proposed(source, answers, ask), answers, ask)
    if not proposal.scaffold["command"]:
        raise _nothing_starts(source)
    if proposal.missing:
        problem = "it cannot be built: a build in a box has no network, and the modules that it needs are not in it"
        raise UserError(str(root), problem, f"In its folder, {proposal.missing}.")
    _write(file, _text(root.name, proposal))
    return file, list(proposal.notes)


def _root(agent: str, folder: Path | None) -> Path:
    """The work tree, cloned if it must be."""
    if not agent.startswith(_SCHEMES) and folder is None:
        return Path(agent).resolve()
    target = folder or Path(agent.rstrip("/").rpartition("/")[2].removesuffix(".git"))
    if target.exists() and any(target.iterdir()):
        raise UserError(str(target), "the folder is not empty", "Name a new folder.")
    command = ["git", "clone", "--quiet", "--", agent, str(target)]
    done = subprocess.run(command, env=git_environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith(("fatal:", "error:"))]
        raise UserError("--agent", f"{agent} cannot be cloned ({'; '.join(said[:2])[:200]})", "Check the address.")
    return target.resolve()


def _nothing_starts(source: Source) -> UserError:
    again = shlex.join(["ratchet", "init", "--agent", str(source.root), "--command"])
    fix = f'Say how it is started; its files lie below /scaffold: {again} "python3 -P -m my_agent"'
    if "package.json" in source.paths:
        fix = (
            "Name in `bin` of package.json a file that is there, or one that its script `build` makes, and commit that;"
            f' or say how it is started, below /scaffold: {again} "node /scaffold/dist/index.js"'
        )
    return UserError("--command", f"nothing that starts was found in {source.root}", fix)


def _proposed(source: Source, answers: Answers, ask: Ask | None) -> Proposal:
    """What is proposed for the command that the user says, or for what was found."""
    if answers.command or ask is None:
        return propose(source, _split(answers.command or ""))
    proposal = propose(source)
    found = shlex.join(_words(proposal, "command"))
    said = ask("Command that starts the agent", found)
    return proposal if said == found else propose(source, _split(said))


def _answered(proposal: Proposal, answers: Answers, ask: Ask | None) -> Proposal:
    """The proposal with what the user says of paths and suite."""
    mutable, suite = ",".join(answers.mutable), answers.suite
    if ask is not None:
        mutable = mutable or ask(
            "Paths that patches may change, separated by commas", ",".join(_words(proposal, "mutable"))
        )
        suite = suite or ask("Suite: starter, agentic, polyglot-mini or a folder", proposal.suite)
    scaffold = dict(proposal.scaffold)
    if mutable:
        scaffold["mutable"] = tuple(path.strip().rstrip("/") for path in mutable.split(","))
    return replace(proposal, scaffold=scaffold, suite=suite or proposal.suite)


def _split(command: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(command))
    except ValueError as error:
        problem = f"{command!r:.200} is not a command of a shell ({str(error)[:1].lower()}{str(error)[1:]})"
        raise UserError("--command", problem, "Close the quotes, or write a backslash before a single one.") from error


def _words(proposal: Proposal, key: str) -> tuple[str, ...]:
    value = proposal.scaffold[key]
    return value if isinstance(value, tuple) else ()


def _text(name: str, proposal: Proposal) -> str:
    boxes = {} if proposal.memory_mb is None else {"memory_mb": proposal.memory_mb}
    scaffold = ScaffoldConfig.model_validate(proposal.scaffold)
    return render_agent(name, proposal.suite, scaffold, BoxConfig.model_validate(boxes))


def _write(file: Path, text: str) -> None:
    """Write the file, unless the doctor would reject it."""
    content = _encoded(file, text)
    try:
        with put_back(file):
            file.write_bytes(content)
            _check(file)
    except OSError as error:
        raise UserError(str(file), f"cannot write the file ({error.strerror})", "Choose another folder.") from error


def _encoded(file: Path, text: str) -> bytes:
    """The text as UTF-8. Raises UserError for a path of the repository that is not."""
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        named = re.split(r'["\n]', text[: error.start])[-1] + re.split(r'["\n]', text[error.start :])[0]
        problem = f"has a path that is not UTF-8, which {CONFIG} cannot name: {visible(named)}"
        raise UserError(str(file.parent), problem, "Rename it with `git mv`, and commit that.") from error


@contextmanager
def put_back(file: Path) -> Iterator[None]:
    """While a file is replaced: rename what was there, and put it back unless all goes well.

    That needs no space on the disk, and happens on Ctrl-C too.
    """
    before, there = file.with_name(f".{file.name}.before"), file.is_file()
    try:
        if there:
            file.replace(before)
        yield
    except BaseException:
        with suppress(OSError):
            before.replace(file) if there else file.unlink()
        raise
    if there:
        before.unlink()


def _check(file: Path) -> None:
    """What the doctor checks without an engine: the file, the suite, the repository."""
    config = load_config(file)
    load_suite(config.suite)
    repository = open_repository(config, None)
    repository.claim()
    repository.check_include(config.scaffold.include, ())
    repository.check_suite(config.suite, config.scaffold.include, ())
    scaffold_layers(config, repository)
    boundary_of(config).check_seed(repository.read(repository.tree_of(repository.base)))


def terminal_asks() -> bool:
    """Whether somebody sits there to be asked."""
    return sys.stdin.isatty() and sys.stdout.isatty()
