"""SWE-bench (Verified, Lite, Live and sets like it) as JSONL: a repository at a commit, an issue, and tests by name.

A patch is handed in. The check lays it and the hidden tests over a fresh copy of the repository, and every test of
FAIL_TO_PASS and PASS_TO_PASS must pass.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.base.errors import UserError
from agent.base.types import NO_FILES, Files
from agent.suites.importing import baking, repositories
from agent.suites.importing.container import TESTS, helper
from agent.suites.importing.draft import Draft, Options, Refusal, Unsupported, with_image
from agent.suites.importing.jsonl import first_keys, read_rows
from agent.suites.importing.reading import need_text, texts

CHECK_SECONDS, SOLVE_SECONDS = 1800.0, 1800.0
DISK_MB, MEMORY_MB = 2048, 8192
_IMAGES = ("docker_image", "image_name", "image")
_OFFICIAL = "swebench/sweb.eval.x86_64.{image_id}:latest"
_LIVE = "starryzhang/sweb.eval.x86_64.{image_id}:latest"
_PYTEST = "pytest -rA"
_DJANGO = "./tests/runtests.py --verbosity 2 --settings=test_sqlite --parallel 1"
_SYMPY = "PYTHONWARNINGS='ignore::UserWarning,ignore::SyntaxWarning' bin/test -C --verbose"
_RUNNERS = {
    "django/django": (_DJANGO, "unittest"),
    "sympy/sympy": (_SYMPY, "sympy"),
    "sphinx-doc/sphinx": ("tox --current-env -epy39 -v --", "pytest"),
}
"""Repositories of the original set whose tests pytest does not run."""

_PARSERS = {"unittest": "unittest", "django": "unittest", "sympy": "sympy"}
_TARGET = re.compile(r"^\+\+\+ b/(.+?)\t?$|^--- a/(.+?)\t?$", re.MULTILINE)
_REPOSITORY = re.compile(r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+")
_IMAGE_NAME = re.compile(r"^[A-Za-z0-9._/:@{}-]+$")
_FILES = f"/workspace/{TESTS}"


class SweBench:
    """One issue a line."""

    kind = "swebench"
    about = "JSONL with repo, base_commit, patch, test_patch, FAIL_TO_PASS and PASS_TO_PASS, plain or gzip"

    def recognises(self, source: Path) -> bool:
        """By the keys of the first line."""
        return {"repo", "base_commit", "problem_statement", "FAIL_TO_PASS"} <= first_keys(source)

    def read(self, source: Path, options: Options) -> Iterator[Draft | Refusal]:
        """One task a line."""

        def make(row: dict[str, Any], name: str, where: str, origin: str) -> Draft:
            return _task(row, name, where, origin, options)

        # The image of a task is chosen here: `--image` may be a pattern.
        return read_rows(source, Options(), make, ids=("instance_id", "task_id"))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Place:
    """Where the repository comes from, in the words of the native format."""

    settings: dict[str, Any]
    files: Files = field(default_factory=lambda: NO_FILES)
    remarks: tuple[str, ...] = ()


def _task(row: dict[str, Any], name: str, where: str, origin: str, options: Options) -> Draft:
    repository, commit = need_text(row, "repo", where), need_text(row, "base_commit", where)
    if not _REPOSITORY.fullmatch(repository):
        raise Unsupported(f"repo: {repository!r:.60} is not owner/name")
    if not repositories.COMMIT.fullmatch(commit):
        raise Unsupported(f"base_commit: {commit!r:.60} is not a whole commit id")
    hidden = need_text(row, "test_patch", where)
    wanted = [*_names(row, "FAIL_TO_PASS", where), *_names(row, "PASS_TO_PASS", where)]
    if not wanted:
        raise Unsupported("FAIL_TO_PASS: names no test")
    command, parser = _runner(row, repository, hidden, options)
    place = _place(row, repository, commit, options)
    reference = row.get("patch")
    spec = {"tests": wanted, "command": command, "parser": parser, "test_files": _changed(hidden)}
    return Draft(
        id=name,
        origin=origin,
        instruction=_instruction(row, where, in_image=not place.files),
        files=place.files,
        tests={
            f"{TESTS}/check.py": helper("swe_check.py"),
            f"{TESTS}/spec.json": json.dumps(spec, indent=1).encode(),
            f"{TESTS}/test.patch": hidden.encode(),
        },
        solution={repositories.PATCH: reference.encode()} if isinstance(reference, str) and reference.strip() else {},
        settings={
            "submit": [repositories.PATCH],
            "check": _check(in_image=not place.files),
            "junit": len(wanted),
            "solve_timeout": SOLVE_SECONDS,
            "check_timeout": CHECK_SECONDS,
            "disk_mb": DISK_MB,
            "memory_mb": MEMORY_MB,
            "tags": [repository],
            **place.settings,
        },
        meta={"swebench": {key: row[key] for key in _DESCRIBES if key in row}},
        remarks=place.remarks,
    )


_DESCRIBES = (
    "repo",
    "base_commit",
    "version",
    "created_at",
    "difficulty",
    "hints_text",
    "pull_number",
    "issue_numbers",
)


def _check(*, in_image: bool) -> list[str]:
    environment = ["env", f"BASH_ENV={repositories.ENVIRONMENT}"] if in_image else []
    arguments = [f"{_FILES}/spec.json", f"/workspace/{repositories.PATCH}", f"{_FILES}/test.patch", "$RATCHET_JUNIT"]
    return [*environment, "python3", "-I", f"{_FILES}/check.py", *arguments]


def _instruction(row: dict[str, Any], where: str, *, in_image: bool) -> str:
    there = f" (also {repositories.TESTBED})" if in_image else ""
    issue = need_text(row, "problem_statement", where).strip()
    return (
        f"/workspace{there} is the git repository of {row['repo']}. Change its files so that the issue below is "
        f"resolved. Hidden tests check it. Do not change tests.\n\n{issue}\n"
    )


def _names(row: Mapping[str, Any], key: str, where: str) -> list[str]:
    """Names of tests: a list, or a JSON text of one."""
    value = row.get(key)
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{where}: {key}", "is neither a list nor a JSON text of one", "Fix it there.") from error
    return list(dict.fromkeys(texts({key: value}, key, where)))


def _runner(row: Mapping[str, Any], repository: str, hidden: str, options: Options) -> tuple[str, str]:
    """The command that runs the hidden tests, and by which rules its output is read."""
    known, parser = _RUNNERS.get(repository, (None, "pytest"))
    config = row.get("install_config")
    given = (
        row.get("test_cmds") or row.get("test_cmd") or (config.get("test_cmd") if isinstance(config, dict) else None)
    )
    named = row.get("log_parser") or (config.get("log_parser") if isinstance(config, dict) else None)
    if named:
        parser = _parser(str(named))
    if options.check or given:
        command = options.check or (" && ".join(map(str, given)) if isinstance(given, list) else str(given))
        return (command if given and row.get("test_cmds") else f"{command} {_directives(repository, hidden)}"), parser
    return f"{known or _PYTEST} {_directives(repository, hidden)}", parser


def _parser(name: str) -> str:
    plain = name.lower().removeprefix("parse_log_")
    if plain.startswith("pytest"):
        return "pytest"
    if plain not in _PARSERS:
        raise Unsupported(f"log_parser = {name!r:.40}")
    return _PARSERS[plain]


def _changed(patch: str) -> list[str]:
    """The files that a patch changes, makes or removes."""
    return list(dict.fromkeys(one or other for one, other in _TARGET.findall(patch)))


def _directives(repository: str, hidden: str) -> str:
    """What the test command is told to run: the changed test files or, for Django, their modules."""
    paths = [path for path in _changed(hidden) if path.endswith(".py")]
    if not paths:
        raise Unsupported("test_patch: changes no Python file")
    if repository == "django/django":
        paths = [path.removesuffix(".py").removeprefix("tests/").replace("/", ".") for path in paths]
    return " ".join(map(shlex.quote, paths))


def _place(row: dict[str, Any], repository: str, commit: str, options: Options) -> _Place:
    if options.repos is not None:
        return _Place(
            files=repositories.files_at(options.repos, repository, commit),
            settings=with_image(
                {
                    "prepare": repositories.PREPARE_FILES,
                    "collect": repositories.COLLECT_FILES,
                    "build": _packages(row),
                },
                None,
                options,
            ),
            remarks=(f"the repository has one commit, {commit[:10]}; its history is not carried",),
        )
    settings: dict[str, Any] = {
        "prepare": repositories.PREPARE_IMAGE,
        "collect": repositories.COLLECT_IMAGE,
        "env": {"BASH_ENV": repositories.ENVIRONMENT},
    }
    ending = list(repositories.ending_at(commit))
    if image := _image(row, options):
        return _Place(settings={**settings, "image": image, "build": ending})
    built = [*repositories.cloned(repository, commit), *_packages(row), *_install(row), *ending]
    remarks = ("the image is built from a clone of one commit; its history is not carried",)
    return _Place(settings=with_image({**settings, "build": built}, None, options), remarks=remarks)


def _image(row: Mapping[str, Any], options: Options) -> str | None:
    """The image that holds the repository; None if it is to be built from a clone."""
    pattern = options.image
    if pattern is not None and "{" not in pattern:
        return None
    if pattern is None:
        pattern = next((row[key] for key in _IMAGES if isinstance(row.get(key), str) and row[key]), None)
    if pattern is None:
        pattern = _LIVE if "test_cmds" in row else _OFFICIAL if "version" in row else None
    if pattern is None:
        raise Unsupported("no image: name one with --image, or clones with --repos")
    name = str(row.get("instance_id", ""))
    filled = pattern.replace("{instance_id}", name).replace("{image_id}", name.lower().replace("__", "_1776_"))
    if not _IMAGE_NAME.fullmatch(filled) or "{" in filled:
        raise Unsupported(f"image: {filled!r:.80} is not the name of an image")
    return filled


def _packages(row: Mapping[str, Any]) -> list[str]:
    """Layers with the Python packages that a row asks for (`install_config`), where an image is built."""
    config = row.get("install_config")
    packages = [str(one) for one in config.get("pip_packages") or []] if isinstance(config, dict) else []
    return [baking.PIP, baking.pip_install(packages)] if packages else []


def _install(row: Mapping[str, Any]) -> list[str]:
    """The layer that installs the repository itself as a row asks for it."""
    config = row.get("install_config")
    command = config.get("install") if isinstance(config, dict) else None
    return [f"RUN cd {repositories.TESTBED} && {command}"] if isinstance(command, str) and command.strip() else []
