"""Finds and removes the boxes that dead runs left behind, by the labels of their owners."""

from __future__ import annotations

import time
from collections.abc import Mapping

import docker
from docker.errors import APIError

from agent.base.owner import owner_lives, owner_visible

ENDED = frozenset({"exited", "dead"})


def reap(client: docker.APIClient) -> int:
    """Remove the boxes of dead owners; how many. What a living process owns is left alone, whatever its name.

    The box of an owner that cannot be seen from here is removed once it has ended or is past its deadline.
    """
    count = 0
    for container in client.containers(all=True, filters={"label": "ratchet.run"}):
        if _left_behind(container.get("Labels") or {}, container.get("State", "")):
            try:
                client.remove_container(container["Id"], force=True, v=True)
            except APIError as error:
                # Someone else is removing it, or has just done so.
                if error.status_code not in {404, 409}:
                    raise
            count += 1
    return count


def _left_behind(labels: Mapping[str, str], state: str) -> bool:
    owner = labels.get("ratchet.owner") or labels.get("ratchet.pid", "")
    if not owner_lives(owner):
        return True
    if owner_visible(owner):
        return False
    deadline = labels.get("ratchet.deadline", "")
    return state in ENDED or (deadline.isdecimal() and int(deadline) < time.time())
