"""Harbor: a folder per task with task.toml, instruction.md, environment/Dockerfile and tests/test.sh.

The layout is the one that harborframework.com documents. A test.sh of the usual kind, which installs and runs
pytest and writes reward.txt from its exit code, becomes a run of pytest that is judged by its JUnit report; any
other test.sh runs as it is and its reward file is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from agent.base.errors import UserError
from agent.suites.importing import container, shell
from agent.suites.importing.dockerfile import read_dockerfile
from agent.suites.importing.draft import Draft, Options, Refusal, Unsupported, task_id
from agent.suites.importing.reading import folder, scripts, tasks_below, text, toml_file
from agent.trials.grading import WORKSPACE

CONFIG, SCRIPT, DOCKERFILE = "task.toml", "test.sh", "environment/Dockerfile"
_TOP = frozenset(
    {"version", "schema_version", "task", "metadata", "verifier", "agent", "environment", "solution", "source"}
)
_SECTIONS = {
    "verifier": frozenset({"timeout_sec", "env", "user", "network_mode"}),
    "agent": frozenset({"timeout_sec", "user", "network_mode"}),
    "solution": frozenset({"env"}),
    "environment": frozenset(
        {"build_timeout_sec", "docker_image", "cpus", "memory_mb", "memory", "storage_mb", "storage", "gpus", "os"}
        | {"allow_internet", "network_mode", "env"}
    ),
}
_EMPTY: tuple[Any, ...] = (None, 0, "", [], {})
_SIZES = {"K": 1 / 1024, "M": 1, "G": 1024}
_DEFAULT_SECONDS = 600.0
_DEFAULT_MEMORY_MB = 2048


class Harbor:
    """One task a folder, anywhere below the source."""

    kind = "harbor"
    about = "Harbor task folders (task.toml)"

    def recognises(self, source: Path) -> bool:
        """By the first task.toml that is found."""
        return source.is_dir() and next(tasks_below(source, CONFIG), None) is not None

    def read(self, source: Path, options: Options) -> Iterator[Draft | Refusal]:
        """Every task, in the order of their paths."""
        for root in tasks_below(source, CONFIG):
            inside = root.relative_to(source).as_posix()
            name = task_id(root.resolve().name)
            config = toml_file(root / CONFIG)
            try:
                yield _task(root, name, inside, config, options)
            except Unsupported as reason:
                yield Refusal(id=name, origin=inside, feature=str(reason))


def _task(root: Path, name: str, origin: str, config: dict[str, Any], options: Options) -> Draft:
    files = folder(root)
    sections = _sections(config, root)
    _layout(files)
    environment = sections["environment"]
    _offered(environment, sections)
    context = {
        path.removeprefix("environment/"): body for path, body in files.items() if path.startswith("environment/")
    }
    context.pop("Dockerfile", None)
    found = read_dockerfile(text(files, DOCKERFILE, root), context, DOCKERFILE)
    container.no_hidden_paths(found.files, DOCKERFILE)
    tests = {path.removeprefix("tests/"): body for path, body in files.items() if path.startswith("tests/")}
    script = text(files, f"tests/{SCRIPT}", root)
    check, usual = _check(script, tests, _plain_env(sections["verifier"], "verifier"))
    return Draft(
        id=name,
        origin=origin,
        instruction=text(files, "instruction.md", root),
        files=found.files,
        tests=container.hidden(tests),
        settings={
            "submit": container.SUBMIT,
            **check,
            **container.surroundings(found, with_pytest=usual, options=options),
            **_limits(sections, root),
            "env": _plain_env(environment, "environment"),
            "tags": _tags(config),
        },
        meta={"harbor": {"task.toml": _plain(config), "solution": _solution(files, root)}},
    )


def _sections(config: dict[str, Any], root: Path) -> dict[str, dict[str, Any]]:
    """The sections whose meaning has to be kept. Raises UserError if one is not a table."""
    container.refuse_unknown(config, _TOP, f"{CONFIG}: ")
    found = {}
    for name, known in _SECTIONS.items():
        section = config.get(name, {})
        if not isinstance(section, dict):
            raise UserError(f"{root / CONFIG}: {name}", "is not a table", f"Write [{name}].")
        found[name] = {key: value for key, value in section.items() if value not in _EMPTY or value is False}
        container.refuse_unknown(found[name], known, f"{CONFIG}: {name}.")
    return found


def _layout(files: Mapping[str, bytes]) -> None:
    for path in files:
        if path.startswith("environment/") and path.rpartition("/")[2].startswith(("docker-compose", "compose.y")):
            raise Unsupported(f"{path}: several containers")
        if path.startswith("steps/"):
            raise Unsupported("steps/: several steps")
    for needed in ("instruction.md", DOCKERFILE, f"tests/{SCRIPT}"):
        if needed not in files:
            raise Unsupported(f"no {needed}")


def _offered(environment: Mapping[str, Any], sections: Mapping[str, Mapping[str, Any]]) -> None:
    """Raises Unsupported for what boxes do not have: a network, GPUs, Windows, root, other users."""
    if environment.get("allow_internet") is True:
        raise Unsupported(f"{CONFIG}: environment.allow_internet = true")
    for name, section in sections.items():
        if section.get("network_mode", "no-network") != "no-network":
            raise Unsupported(f"{CONFIG}: {name}.network_mode = {section['network_mode']!r:.40}")
        if "user" in section:
            raise Unsupported(f"{CONFIG}: {name}.user")
    if "gpus" in environment:
        raise Unsupported(f"{CONFIG}: environment.gpus")
    if environment.get("os", "linux") != "linux":
        raise Unsupported(f"{CONFIG}: environment.os = {environment['os']!r:.40}")


def _plain_env(section: Mapping[str, Any], name: str) -> dict[str, str]:
    env = section.get("env", {})
    if not isinstance(env, dict) or not all(isinstance(value, str) for value in env.values()):
        raise Unsupported(f"{CONFIG}: {name}.env that is not a table of texts")
    if variable := next((key for key, value in env.items() if "${" in value), None):
        raise Unsupported(f"{CONFIG}: {name}.env.{variable} takes a variable of the host")
    return env


def _check(script: str, tests: dict[str, bytes], env: dict[str, str]) -> tuple[dict[str, Any], bool]:
    """Check and reward, and whether the script was of the usual kind."""
    if (run := shell.usual_pytest(script, reward=True)) is not None:
        found = container.pytest_check(run, tests, "tests")
        return {**found, "check": [*_prefix(env), *found["check"]]}, True
    shell.refuse_network(script, f"tests/{SCRIPT}")
    command = f"mkdir -p {WORKSPACE}{container.LOGS}/verifier && exec bash /tests/{SCRIPT}"
    return {"check": [*_prefix(env), "bash", "-c", command], "reward": "file", **_reward(tests)}, False


def _prefix(env: Mapping[str, str]) -> list[str]:
    return ["env", *(f"{key}={value}" for key, value in env.items())] if env else []


def _reward(tests: Mapping[str, bytes]) -> dict[str, str]:
    """Which reward file the tests write. Raises Unsupported if they name none, or more than one number."""
    said = b"\n".join(tests.values())
    as_text, as_json = b"reward.txt" in said, b"reward.json" in said
    if as_text == as_json:
        raise Unsupported("tests/: " + ("reward.txt and reward.json" if as_text else "no reward file is named"))
    if as_text:
        return {"reward_path": f"{container.REWARD}.txt"}
    if not re.search(rb"[\"']reward[\"']|\breward\\\"", said):
        raise Unsupported("tests/: reward.json without the key 'reward'")
    return {"reward_path": f"{container.REWARD}.json"}


def _limits(sections: Mapping[str, Mapping[str, Any]], root: Path) -> dict[str, Any]:
    environment = sections["environment"]
    memory = environment.get("memory_mb", _DEFAULT_MEMORY_MB)
    if isinstance(size := environment.get("memory"), str):
        if not (said := re.fullmatch(r"([0-9.]{1,9})([KMG])B?", size.strip().upper())):
            raise UserError(f"{root / CONFIG}: environment.memory", f"{size!r:.40} is not a size", "Write 2G or 512M.")
        memory = int(float(said[1]) * _SIZES[said[2]])
    return {
        "solve_timeout": _seconds(sections["agent"], root, "agent"),
        "check_timeout": _seconds(sections["verifier"], root, "verifier"),
        "cpus": environment.get("cpus", 1),
        "memory_mb": memory,
    }


def _seconds(section: Mapping[str, Any], root: Path, name: str) -> float:
    value = section.get("timeout_sec", _DEFAULT_SECONDS)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UserError(f"{root / CONFIG}: {name}.timeout_sec", "is not a number", "Write seconds.")
    return float(value)


def _tags(config: Mapping[str, Any]) -> list[str]:
    """Words to find the task by."""
    said: list[Any] = []
    for section, key in (("task", "keywords"), ("metadata", "tags")):
        table = config.get(section)
        words = table.get(key) if isinstance(table, dict) else None
        said += words if isinstance(words, list) else []
    return list(dict.fromkeys(word for word in said if isinstance(word, str) and word.strip()))


def _solution(files: dict[str, bytes], root: Path) -> dict[str, str]:
    """The reference as it is written, by the names below `solution/`."""
    found = scripts(files, [path for path in files if path.startswith("solution/")], root)
    return {path.removeprefix("solution/"): said for path, said in found.items()}


def _plain(value: Any) -> Any:
    """TOML as JSON and YAML can say it: dates and times as text."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value if isinstance(value, str | bool | int | float) else value.isoformat()
