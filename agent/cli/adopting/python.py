"""Agents in Python: packages, console scripts, requirements."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from agent.cli.adopting.source import Found, Source, table

PYTHON = ("python3", "-P")
PIP = (
    "RUN python3 -m pip --version || { apt-get update && apt-get install -y --no-install-recommends python3-pip"
    " && rm -rf /var/lib/apt/lists/*; }"
)
INSTALL = "RUN PIP_BREAK_SYSTEM_PACKAGES=1 python3 -m pip install --no-cache-dir "
_SCRIPTS = ("agent.py", "main.py", "solve.py", "run.py", "app.py", "cli.py")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def look(source: Source) -> Found | None:
    """What starts it and what it needs; None if it is not a Python program."""
    if not any(path.endswith(".py") for path in source.paths):
        return None
    found = Found(packages=dict(_requirements(source)))
    found.code = _code(source)
    for way in (_package, _console_script, _script):
        if way(source, found):
            break
    found.include = [path for path in ("pyproject.toml",) if path in source.paths and _reads_itself(source)]
    if _is_plain(source):
        found.build = [PIP, "COPY requirements.txt /opt/agent/", f"{INSTALL}-r /opt/agent/requirements.txt"]
    elif found.packages:
        wanted = " ".join(f"'{name}{version}'" for name, version in found.packages.items())
        found.build = [PIP, INSTALL + wanted]
    return found


def _reads_itself(source: Source) -> bool:
    """Whether the code asks for its own metadata, as `importlib.metadata.version` does: that needs an installation."""
    return any("pyproject.toml" in source.text(path) for path in source.paths if path.endswith(".py"))


def _is_plain(source: Source) -> bool:
    """Whether requirements.txt alone says what to install, and nothing in it needs another file."""
    lines = [line.strip() for line in source.text("requirements.txt").splitlines()]
    if table(source.toml("pyproject.toml"), "project").get("dependencies"):
        return False
    return any(map(_NAME.match, lines)) and not any(
        line.startswith(("-", ".", "/")) or "file:" in line for line in lines
    )


def _code(source: Source) -> list[str]:
    """The folders of packages, and the scripts at the top."""
    packages = [path.rpartition("/")[0] for path in source.paths if path.endswith("/__init__.py")]
    tops = [one for one in packages if not any(one.startswith(f"{other}/") for other in packages)]
    own = [one for one in tops if not re.match(r"(.*/)?(tests?|docs|examples?|benchmarks?|scripts)(/|$)", one)]
    return own + [path for path in source.paths if path.endswith(".py") and path in _SCRIPTS]


def _package(source: Source, found: Found) -> bool:
    main = next((path for path in source.paths if path.endswith("/__main__.py") and path[:-12] in found.code), None)
    if main is None:
        return False
    folder = main.removesuffix("/__main__.py")
    found.command = (*_path_of(folder), *PYTHON, "-m", PurePosixPath(folder).name)
    found.why = f"{main} is a program"
    return True


def _console_script(source: Source, found: Found) -> bool:
    project = source.toml("pyproject.toml")
    scripts = table(project, "project", "scripts") | table(project, "tool", "poetry", "scripts")
    for name, target in scripts.items():
        module, _, function = str(target).partition(":")
        folder = next((one for one in found.code if PurePosixPath(one).name == module.partition(".")[0]), None)
        if folder is not None and function.isidentifier():
            start = f"from {module} import {function}; raise SystemExit({function}())"
            found.command = (*_path_of(folder), *PYTHON, "-c", start)
            found.why = f"pyproject.toml has the console script {name} = {target}"
            return True
    return False


def _script(source: Source, found: Found) -> bool:
    name = source.first(_SCRIPTS)
    if name is not None:
        found.command, found.why = ("python3", f"/scaffold/{name}"), f"{name} is a script"
    return name is not None


def _path_of(folder: str) -> tuple[str, ...]:
    """What goes before the command so that Python finds a package; the top of /scaffold is known anyway."""
    parent = folder.rpartition("/")[0]
    return ("env", f"PYTHONPATH=/scaffold/{parent}") if parent else ()


def _requirements(source: Source) -> Iterator[tuple[str, str]]:
    """Name -> version of what it needs directly, as its lock file pins it."""
    wanted = table(source.toml("pyproject.toml"), "project").get("dependencies")
    given = [str(one) for one in wanted] if isinstance(wanted, list) else []
    given += source.text("requirements.txt").splitlines()
    locked = {
        re.sub(r"[-_.]+", "-", str(one.get("name"))).lower(): f"=={one['version']}"
        for lock in ("uv.lock", "poetry.lock")
        for one in source.tables(lock, "package")
        if "version" in one
    }
    for line in given:
        text = line.partition("#")[0].partition(";")[0].strip()
        if (match := _NAME.match(text)) is None or "://" in text or text.startswith("-"):
            continue
        version = re.sub(r"\s", "", text[match.end() :]).replace("'", "")
        extras = version[: version.index("]") + 1] if version.startswith("[") and "]" in version else ""
        pin = locked.get(re.sub(r"[-_.]+", "-", match[0]).lower())
        yield match[0], f"{extras}{pin}" if pin else version
