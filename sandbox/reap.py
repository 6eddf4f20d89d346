"""Finds and removes what runs that are dead left behind: containers by their labels, folders by their names."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import docker
from docker.errors import APIError

from agent.base.owner import owner_lives


def reap(client: docker.APIClient, campaign: str, run_id: str) -> int:
    """Remove the boxes of dead owners, of other runs of this campaign, and those past their deadline."""
    count = 0
    for container in client.containers(all=True, filters={"label": "ratchet.run"}):
        if _stale(container.get("Labels") or {}, campaign, run_id):
            try:
                client.remove_container(container["Id"], force=True, v=True)
            except APIError as error:
                # Someone else is removing it, or has just done so.
                if error.status_code not in {404, 409}:
                    raise
            count += 1
    _reap_folders(Path(tempfile.gettempdir()))
    return count


def _stale(labels: Mapping[str, str], campaign: str, run_id: str) -> bool:
    if labels.get("ratchet.run") == run_id and labels.get("ratchet.campaign") == campaign:
        return False
    if labels.get("ratchet.campaign") == campaign or not owner_lives(labels.get("ratchet.pid", "")):
        return True
    deadline = labels.get("ratchet.deadline", "")
    return deadline.isdecimal() and int(deadline) < time.monotonic()


def _reap_folders(where: Path) -> None:
    for folder in where.glob("ratchet-*.*-*"):
        owner = folder.name.removeprefix("ratchet-").rpartition("-")[0]
        if folder.is_dir() and folder.stat().st_uid == os.geteuid() and not owner_lives(owner):
            shutil.rmtree(folder, ignore_errors=True)
