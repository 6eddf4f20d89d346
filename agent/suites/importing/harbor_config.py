"""Harbor's task.toml in the words of the native format: what is asked of boxes, of grading and of the reference."""

from __future__ import annotations

import math
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agent.suites.importing import container
from agent.suites.importing.draft import Unsupported, literal
from agent.suites.importing.harbor_fates import CONFIG, judge

MAX_SECONDS = 6 * 3600.0
"""The longest time that a box lives: what a task without a time limit gets."""

MAX_MEMORY_MB, MAX_DISK_MB = 262_144, 8192
NO_MEMORY_LIMIT_MB = 8192
DEFAULT_VERIFIER_SECONDS = 600.0
_SIZES = {"K": 1 / 1024, "M": 1, "G": 1024}
_VARIABLE = re.compile(r"\$\{([^}:]+)(?::-(.*))?\}", re.DOTALL)
_KEY = re.compile(r"[A-Z0-9_]*_(?:API_KEY|BASE_URL|API_BASE|AUTH_TOKEN)")
_ARTIFACTS = "/logs/artifacts"
_Table = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Config:
    """A task.toml. Times in seconds, memory in MiB; `remarks` say where the meaning changes."""

    limits: dict[str, Any]
    agent_user: str | None
    env: dict[str, str]
    check_env: dict[str, str]
    solution_env: dict[str, str]
    image: str | None
    workdir: str | None
    separate: bool
    verifier_image: str | None
    artifacts: tuple[str, ...]
    reward_range: tuple[float, float]
    storage_mb: int
    tags: list[str]
    remarks: tuple[str, ...]


def read_config(written: _Table) -> Config:
    """Read a task.toml. Raises Unsupported for what Harbor's schema refuses, and for what boxes do not have."""
    raw = _migrated(written)
    remarks = judge(raw)
    environment, verifier, agent = (_table(raw, name) for name in ("environment", "verifier", "agent"))
    own = _table(verifier, "environment")
    if own and verifier.get("environment_mode") == "shared":
        raise Unsupported(f"{CONFIG}: verifier.environment_mode = 'shared' beside [verifier.environment]")
    return Config(
        limits=_limits(environment, agent, verifier, remarks),
        agent_user=_user(agent.get("user")),
        env=_without_keys(environment, remarks),
        check_env={**_env(own, "verifier.environment"), **_env(verifier, "verifier")},
        solution_env=_solution_env(_table(raw, "solution"), remarks),
        image=environment.get("docker_image") or None,
        workdir=environment.get("workdir") or None,
        separate=verifier.get("environment_mode", "separate" if own else "shared") == "separate",
        verifier_image=own.get("docker_image") or None,
        artifacts=_artifacts(raw.get("artifacts", []), remarks),
        storage_mb=min(environment.get("storage_mb") or 0, MAX_DISK_MB),
        reward_range=_reward_range(_table(raw, "metadata")),
        tags=_tags(raw),
        remarks=tuple(remarks),
    )


def _table(config: _Table, name: str) -> _Table:
    found = config.get(name)
    return found if isinstance(found, Mapping) else {}


def _migrated(written: _Table) -> dict[str, Any]:
    """Today's names for the fields that Harbor still reads under older ones."""
    raw = dict(written)
    if "version" in raw:
        raw.setdefault("schema_version", raw.pop("version"))
    if isinstance(raw.get("environment"), Mapping):
        raw["environment"] = _sizes(raw["environment"], "environment")
    verifier = raw.get("verifier")
    if isinstance(verifier, Mapping) and isinstance(verifier.get("environment"), Mapping):
        raw["verifier"] = {**verifier, "environment": _sizes(verifier["environment"], "verifier.environment")}
    return raw


def _sizes(environment: _Table, where: str) -> dict[str, Any]:
    found = dict(environment)
    for old in ("memory", "storage"):
        if old in found:
            size = _size(found.pop(old), f"{CONFIG}: {where}.{old}")
            if found.setdefault(f"{old}_mb", size) != size:
                raise Unsupported(f"{CONFIG}: {where}.{old} and {old}_mb differ")
    if isinstance(found.get("os"), str):
        found["os"] = found["os"].lower()
    return found


def _size(value: object, where: str) -> int:
    said = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)([KMG])B?", str(value).strip().upper())
    if said is None:
        raise Unsupported(f"{where}: {value!r:.40} is not a size such as 2G or 512M")
    return int(float(said[1]) * _SIZES[said[2]])


def _limits(environment: _Table, agent: _Table, verifier: _Table, remarks: list[str]) -> dict[str, Any]:
    memory = environment.get("memory_mb")
    if memory is None:
        remarks.append(f"no limit of memory becomes {NO_MEMORY_LIMIT_MB} MiB")
    found: dict[str, Any] = {
        "solve_timeout": _seconds(agent.get("timeout_sec"), "agent", remarks),
        "check_timeout": _seconds(verifier.get("timeout_sec", DEFAULT_VERIFIER_SECONDS), "verifier", remarks),
        "cpus": 1 if environment.get("cpus") is None else environment["cpus"],
        "memory_mb": NO_MEMORY_LIMIT_MB if memory is None else memory,
    }
    user = agent.get("user")
    if isinstance(user, int) and user > 0 and user == verifier.get("user"):
        found["user"] = user
    return found


def _user(value: object) -> str | None:
    """The user of the image as whom the agent runs; None for root and for what says nothing."""
    return None if value in {None, "", 0, "0", "root"} else str(value)


def _seconds(value: float | None, name: str, remarks: list[str]) -> float:
    if value is None:
        remarks.append(f"no limit of {name}.timeout_sec becomes {MAX_SECONDS:g} s, the longest life of a box")
        return MAX_SECONDS
    if math.isfinite(value) and value > MAX_SECONDS:
        remarks.append(f"{CONFIG}: {name}.timeout_sec: {value:g} s becomes {MAX_SECONDS:g} s")
        return MAX_SECONDS
    return float(value)


def _env(section: _Table, name: str) -> dict[str, str]:
    """The environment of a section, with the defaults of its variables. Raises Unsupported for one without."""
    found = {}
    for key, value in _table(section, "env").items():
        said = _VARIABLE.fullmatch(value)
        if said and said[2] is None:
            raise Unsupported(f"{CONFIG}: {name}.env.{key} takes a variable of the host, {said[1]:.40}")
        found[key] = said[2] if said else value
    return found


def _without_keys(environment: _Table, remarks: list[str]) -> dict[str, str]:
    """The environment of both boxes, without the keys of model providers: the gateway gives what a box needs."""
    env = _table(environment, "env")
    keys = [key for key, value in env.items() if _KEY.fullmatch(key) and _VARIABLE.fullmatch(value)]
    remarks += [f"{CONFIG}: environment.env.{key} is left out: no key enters a box" for key in keys]
    return _env({"env": {key: value for key, value in env.items() if key not in keys}}, "environment")


def _solution_env(section: _Table, remarks: list[str]) -> dict[str, str]:
    try:
        return _env(section, "solution")
    except Unsupported as reason:
        remarks.append(f"{reason}; the reference runs without [solution.env]")
        return {}


def _artifacts(entries: list[Any], remarks: list[str]) -> tuple[str, ...]:
    """Where artifacts are in the container, as the task writes it."""
    found = []
    for entry in entries:
        whole = {"source": entry} if isinstance(entry, str) else entry
        if (whole.get("service") or "main") != "main":
            raise Unsupported(f"{CONFIG}: artifacts: from the service {whole['service']!r:.40}: several containers")
        if ".." in whole["source"].split("/"):
            raise Unsupported(f"{CONFIG}: artifacts: {whole['source']!r:.80} reaches outside")
        if whole.get("exclude"):
            remarks.append(f"{CONFIG}: artifacts: exclude is not applied")
        found.append(whole["source"])
    return tuple(found)


def submitted(config: Config, workdir: str, remarks: list[str]) -> list[str]:
    """The globs of what is handed in: what a separate verifier would get, or all that a shared one sees."""
    if not config.separate:
        dots = [
            path
            for path in (_below(artifact, workdir) for artifact in config.artifacts)
            if path and path[0] == "." and path != "."
        ]
        return [*container.SUBMIT, *(glob for path in dots for glob in (literal(path), f"{literal(path)}/**"))]
    globs = [f"{container.LOGS}/artifacts/**"]
    for artifact in config.artifacts:
        path = _below(artifact, workdir)
        if path is None:
            raise Unsupported(f"{CONFIG}: artifacts: {artifact!r:.80} is outside of the working directory")
        globs += container.SUBMIT if path in {"", "."} else [literal(path), f"{literal(path)}/**"]
    if len(globs) == 1:
        remarks.append("a separate verifier without artifacts: all files of the working directory are handed in")
        return [*container.SUBMIT, *globs]
    return list(dict.fromkeys(globs))


def _below(artifact: str, workdir: str) -> str | None:
    """A path of the container relative to the workspace of a box, or None if it is not carried."""
    whole = posixpath.normpath(posixpath.join(workdir, artifact))
    for top, ours in ((_ARTIFACTS, f"{container.LOGS}/artifacts"), (workdir.rstrip("/"), "")):
        if whole == top:
            return ours or "."
        if whole.startswith(f"{top}/"):
            return posixpath.join(ours, whole.removeprefix(f"{top}/"))
    return None


def _reward_range(metadata: _Table) -> tuple[float, float]:
    """The rewards that stand for nothing and for everything; `[metadata] reward_range` may say others than 0 and 1."""
    said = metadata.get("reward_range", [0, 1])
    numbers = isinstance(said, list) and all(isinstance(n, int | float) and not isinstance(n, bool) for n in said)
    if not numbers or len(said) != 2 or not (abs(said[0]) < 1e9 and abs(said[1]) < 1e9 and said[0] < said[1]):  # noqa: PLR2004
        raise Unsupported(f"{CONFIG}: metadata.reward_range: not a list of two numbers, the lower one first")
    return float(said[0]), float(said[1])


def _tags(config: _Table) -> list[str]:
    """Words to find the task by."""
    said: list[Any] = []
    for section, key in (("task", "keywords"), ("metadata", "tags")):
        words = _table(config, section).get(key)
        said += words if isinstance(words, list) else []
    return list(dict.fromkeys(word for word in said if isinstance(word, str) and word.strip()))
