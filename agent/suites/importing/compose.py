"""A docker-compose.yaml of one container: its limits, environment and working directory."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agent.suites.importing.container import refuse_unknown
from agent.suites.importing.draft import Unsupported

_SERVICE = frozenset(
    {"build", "image", "container_name", "command", "environment", "volumes"}
    | {"deploy", "working_dir", "tty", "stdin_open", "init", "restart", "platform", "cpus", "mem_limit", "hostname"}
)
_SIZE = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)\s*([KMG]?)I?B?")
_MIB = {"": 1 / (1 << 20), "K": 1 / 1024, "M": 1.0, "G": 1024.0}
_FILLED_IN = re.compile(
    r"T_BENCH_|\$\{?(?:HOST_\w+_PATH|ENV_\w+_PATH|CONTEXT_DIR|MAIN_IMAGE_NAME|CPUS|MEMORY|TEST_DIR)\b"
)
"""Variables that Terminal-Bench and Harbor fill in themselves: folders of logs, limits that task.toml gives."""

_TARGET = re.compile(r":(/[\w./-]*)(?::[\w,]+)?$")
_FROM_THE_HARNESS = re.compile(r":\$\{?\w+\}?(?::[\w,]+)?$")
"""A volume at a place that the harness names: its logs."""

_OF_THE_CONTEXT = re.compile(r"\$\{?CONTEXT_DIR\}?(?:/(?!\.\.)|:|$)")
_VARIABLE = re.compile(r"\$\{?\w+(?::-([^}]*))?\}?")


@dataclass(frozen=True, kw_only=True, slots=True)
class Service:
    """What the one container asks for, in the words of the native format."""

    env: Mapping[str, str] = field(default_factory=dict)
    limits: Mapping[str, Any] = field(default_factory=dict)
    workdir: str | None = None
    volumes: tuple[str, ...] = ()
    """Folders that are mounted from the host: empty ones in a box."""
    remarks: tuple[str, ...] = ()


def one_container(config: Mapping[str, Any], where: str) -> Service:
    """Read a compose file. Raises Unsupported for several containers, and for what a box does not have."""
    refuse_unknown(config, frozenset({"services", "version", "name"}), f"{where}: ")
    services = config.get("services")
    if not isinstance(services, dict) or len(services) != 1:
        raise Unsupported(f"{where}: several containers")
    ((name, service),) = services.items()
    if not isinstance(service, dict):
        raise Unsupported(f"{where}: services.{name}")
    inside = f"{where}: services.{name}."
    refuse_unknown(service, _SERVICE, inside)
    volumes = _volumes(service, inside)
    workdir = service.get("working_dir")
    if workdir is not None and not isinstance(workdir, str):
        raise Unsupported(f"{inside}working_dir")
    return Service(
        env=_env(service, inside),
        limits=_limits(service, inside),
        workdir=workdir,
        volumes=volumes,
        remarks=tuple(f"{inside}volumes: {folder} is an empty folder in a box" for folder in volumes),
    )


def _volumes(service: Mapping[str, Any], where: str) -> tuple[str, ...]:
    """The folders of the host that are mounted, by their places; those of the harness are not among them.

    Raises:
        Unsupported: a volume that is written in another way, that holds files of the task, or that is in another one.
    """
    said, found = service.get("volumes") or [], list[str]()
    for volume in said if isinstance(said, list) else [said]:
        text = f"{volume.get('source')}:{volume.get('target')}" if isinstance(volume, dict) else str(volume)
        target = _TARGET.search(text)
        if not _FILLED_IN.search(text) or (target is None and not _FROM_THE_HARNESS.search(text)):
            raise Unsupported(f"{where}volumes: {text!r:.60}")
        if target is None:
            continue
        if _OF_THE_CONTEXT.match(text):
            raise Unsupported(f"{where}volumes: {text!r:.60} holds files of the task")
        found.append("/" + posixpath.normpath(target[1]).lstrip("/"))
    folders = list(dict.fromkeys(folder for folder in found if not f"{folder}/".startswith(("/logs/", "/tests/"))))
    if inner := next((f for f in folders for other in folders if f.startswith(f"{other}/")), None):
        raise Unsupported(f"{where}volumes: {inner!r:.60} is in another one")
    return tuple(folders)


def _env(service: Mapping[str, Any], where: str) -> dict[str, str]:
    """Plain values; what Terminal-Bench itself fills in is left out. Raises Unsupported for variables of the host."""
    said = service.get("environment") or {}
    if not isinstance(said, dict | list):
        raise Unsupported(f"{where}environment: neither a table nor a list")
    pairs = said.items() if isinstance(said, dict) else [str(item).partition("=")[::2] for item in said]
    found = {}
    for key, value in pairs:
        text = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
        if _FILLED_IN.search(text) or key == "TEST_DIR":
            continue
        if (variable := _VARIABLE.fullmatch(text)) and variable[1] is not None:
            text = variable[1]
        if "$" in text:
            raise Unsupported(f"{where}environment: {key!s:.60} takes a variable of the host")
        found[str(key)] = text
    return found


def _limits(service: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Cores and memory: of `deploy.resources.limits`, or of the older keys."""
    deploy = service.get("deploy") or {}
    if not isinstance(deploy, dict) or set(deploy) - {"resources", "replicas", "restart_policy"}:
        raise Unsupported(f"{where}deploy")
    resources = deploy.get("resources") or {}
    if not isinstance(resources, dict):
        raise Unsupported(f"{where}deploy.resources")
    limits = resources.get("limits") or {}
    if not isinstance(limits, dict) or (set(limits) | set(resources)) - {
        "limits",
        "reservations",
        "cpus",
        "memory",
        "pids",
    }:
        raise Unsupported(f"{where}deploy.resources")
    if isinstance(reserved := resources.get("reservations"), dict) and "devices" in reserved:
        raise Unsupported(f"{where}deploy.resources.reservations.devices: boxes have no GPU")
    cpus, memory = limits.get("cpus", service.get("cpus")), limits.get("memory", service.get("mem_limit"))
    found: dict[str, Any] = {}
    if cpus is not None and not _FILLED_IN.search(str(cpus)):
        found["cpus"] = _number(cpus, f"{where}deploy.resources.limits.cpus")
    if memory is not None and not _FILLED_IN.search(str(memory)):
        found["memory_mb"] = _mebibytes(memory, f"{where}deploy.resources.limits.memory")
    return found


def _number(value: object, where: str) -> float:
    try:
        return float(str(value))
    except ValueError as error:
        raise Unsupported(f"{where}: {value!r:.40} is not a number") from error


def _mebibytes(value: object, where: str) -> int:
    if not (said := _SIZE.fullmatch(str(value).strip().upper())):
        raise Unsupported(f"{where}: {value!r:.40} is not a size")
    return int(float(said[1]) * _MIB[said[2]])
