"""Labels the containers of a run, and finds and removes leftovers of dead runs by their owners' labels."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping

import docker
from docker.errors import APIError

from agent.base.owner import owner_label, owner_lives, owner_visible

ENDED = frozenset({"exited", "dead"})
BOX_LIFE_SECONDS = 6 * 3600


def labels(campaign: str, run: str, sandbox: str) -> Mapping[str, str]:
    """The labels of a container that this process starts now; `campaign` is for people, and decides nothing."""
    owner = owner_label(os.getpid())
    return {
        "ratchet.campaign": campaign,
        "ratchet.run": run,
        "ratchet.sandbox": sandbox,
        "ratchet.owner": owner,
        "ratchet.pid": ".".join(owner.split(".")[:2]),  # what earlier versions look at
        "ratchet.deadline": str(int(time.time()) + BOX_LIFE_SECONDS),
    }


def reap(client: docker.APIClient) -> int:
    """Remove the boxes of dead owners; how many. What a living process owns is left alone, whatever its name.

    The box of an owner that cannot be seen from here is removed once it has ended or is past its deadline.
    """
    count = 0
    for container in client.containers(all=True, filters={"label": "ratchet.run"}):
        if left_behind(container.get("Labels") or {}, ended=container.get("State") in ENDED):
            try:
                client.remove_container(container["Id"], force=True, v=True)
            except APIError as error:
                # Someone else is removing it, or has just done so.
                if error.status_code not in {404, 409}:
                    raise
            count += 1
    return count


def left_behind(labels: Mapping[str, str], *, ended: bool) -> bool:
    """Whether nobody needs a container that has these labels."""
    owner = labels.get("ratchet.owner") or labels.get("ratchet.pid", "")
    if not owner_lives(owner):
        return True
    if owner_visible(owner):
        return False
    deadline = labels.get("ratchet.deadline", "")
    return ended or (deadline.isdecimal() and int(deadline) < time.time())
