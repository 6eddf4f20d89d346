"""What becomes of every field of Harbor's task.toml: tests hold this table to the schema that Harbor's models give.

The schema is data beside this file (`harbor.schema.json`); docs/importing.md says how to regenerate it. A field that
a new version brings has no line here, so the test fails until somebody decides.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.suites.importing.draft import Unsupported

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

SCHEMA = Path(__file__).with_name("harbor.schema.json")
CONFIG = "task.toml"


class Fate(StrEnum):
    """What the import does with a field that asks for something."""

    CARRIED = "carried"
    META = "kept in meta"
    REMARK = "taken, with a remark"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Ruling:
    """The fate of a field, and what the user reads about it. `allowed` are values that ask for nothing."""

    fate: Fate
    said: str = ""
    allowed: tuple[Any, ...] = ()


_NOTHING: tuple[Any, ...] = (None, 0, "", [], {})
_CARRIED, _META = Ruling(Fate.CARRIED), Ruling(Fate.META)
_OFFLINE = "boxes have no network; `ratchet tasks check` shows whether the task needs one"
DISK = "the limit on the disk is the campaign's"
OWN_USER = "boxes run as a user id of their own"


def _remark(said: str, *allowed: Any) -> Ruling:
    return Ruling(Fate.REMARK, said, allowed)


def _refused(said: str, *allowed: Any) -> Ruling:
    return Ruling(Fate.REFUSED, said, allowed)


_ENVIRONMENT = {
    "network_mode": _remark(_OFFLINE, "no-network"),
    "allowed_hosts": _remark(_OFFLINE),
    "allow_internet": _remark(_OFFLINE, False),
    "build_timeout_sec": _remark("image builds have a time limit of their own", 600.0),
    "os": _refused("Windows", "linux"),
    "storage_mb": _remark(DISK),
    "gpus": _refused("boxes have no GPU"),
    "gpu_types": _refused("boxes have no GPU"),
    "tpu": _refused("boxes have no TPU"),
    "mcp_servers": _refused("MCP servers"),
    "skills_dir": _remark("the folder stays in the image; no agent's own folder of skills is filled from it"),
    "healthcheck": _refused("a service with a health check"),
}
FATES: Mapping[str, Ruling] = {
    "schema_version": _META,
    "source": _META,
    "task": _META,
    "metadata": _META,
    "steps": _refused("several steps"),
    "multi_step_reward_strategy": _META,
    "artifacts": _CARRIED,
    "solution": _CARRIED,
    "solution.env": _CARRIED,
    "agent": _CARRIED,
    "agent.timeout_sec": _CARRIED,
    "agent.user": _remark(OWN_USER),
    "agent.network_mode": _remark(_OFFLINE, "no-network"),
    "agent.allowed_hosts": _remark(_OFFLINE),
    "environment": _CARRIED,
    **{f"environment.{name}": ruling for name, ruling in _ENVIRONMENT.items()},
    **{f"environment.{name}": _CARRIED for name in ("docker_image", "cpus", "memory_mb", "env", "workdir")},
    "verifier": _CARRIED,
    "verifier.timeout_sec": _CARRIED,
    "verifier.env": _CARRIED,
    "verifier.user": _remark(OWN_USER),
    "verifier.network_mode": _remark(_OFFLINE, "no-network"),
    "verifier.allowed_hosts": _remark(_OFFLINE),
    "verifier.environment_mode": _CARRIED,
    "verifier.collect": _refused("commands that run between solving and grading"),
    "verifier.environment": _CARRIED,
    **{f"verifier.environment.{name}": ruling for name, ruling in _ENVIRONMENT.items()},
    "verifier.environment.env": _CARRIED,
    "verifier.environment.docker_image": _CARRIED,
    "verifier.environment.cpus": _remark("both boxes have the cores of [environment]"),
    "verifier.environment.memory_mb": _remark("both boxes have the memory of [environment]"),
    "verifier.environment.workdir": _remark("the tests start in the working directory of [environment]"),
}


def judge(config: Mapping[str, Any]) -> list[str]:
    """The remarks on what a task.toml asks for.

    Raises:
        Unsupported: the file does not fit Harbor's schema, or asks for something that boxes do not have.
    """
    _fit(config)
    return [remark for path, value in _fields(config, "") if (remark := _ruled(path, value))]


def _ruled(path: str, value: Any) -> str | None:
    ruling = FATES.get(path)
    if ruling is None:
        return f"{CONFIG}: {path} is unknown to Harbor {schema_version()}; kept in meta"
    if (value in _NOTHING and value is not True) or value in ruling.allowed:
        return None
    if ruling.fate is Fate.REFUSED:
        raise Unsupported(f"{CONFIG}: {path}: {ruling.said}")
    return f"{CONFIG}: {path}: {ruling.said}" if ruling.fate is Fate.REMARK else None


def _fields(table: Mapping[str, Any], above: str) -> Iterator[tuple[str, Any]]:
    """Every field that is there, by its dotted path, down to those that have a fate as a whole."""
    for key, value in table.items():
        path = f"{above}{key}"
        if isinstance(value, Mapping) and any(known.startswith(f"{path}.") for known in FATES):
            yield from (_fields(value, f"{path}.") if path != "solution" else ())
        else:
            yield path, value


def _fit(config: Mapping[str, Any]) -> None:
    error = next(iter(sorted(_validator().iter_errors(config), key=lambda e: list(map(str, e.absolute_path)))), None)
    if error is not None:
        where = ".".join(map(str, error.absolute_path)) or "the file"
        raise Unsupported(f"{CONFIG}: {where}: {error.message[:120]}")


@cache
def schema() -> dict[str, Any]:
    """Harbor's schema of task.toml, as its own models give it."""
    loaded: dict[str, Any] = json.loads(SCHEMA.read_text(encoding="utf-8"))
    return loaded


def schema_version() -> str:
    """The version of the task format that the schema describes."""
    return str(schema()["properties"]["schema_version"]["default"])


@cache
def _validator() -> Validator:
    from jsonschema import Draft202012Validator  # noqa: PLC0415 - only an import of Harbor tasks needs it

    return Draft202012Validator(schema())
