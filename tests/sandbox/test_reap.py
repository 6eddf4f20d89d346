"""What a dead run left is found and removed; what belongs to the living stays."""

from __future__ import annotations

import os
import secrets
import subprocess
import time
from collections.abc import Iterator

import docker
import pytest

from agent.base.owner import owner_label, owner_lives
from sandbox.reap import reap


@pytest.fixture
def dead() -> str:
    """The label of a process that has ended."""
    process = subprocess.Popen(["sleep", "60"])
    label = owner_label(process.pid)
    assert owner_lives(label)
    process.kill()
    process.wait()
    return label


def test_an_owner_lives_until_it_ends(dead: str) -> None:
    assert owner_lives(owner_label(os.getpid()))
    assert not owner_lives(dead)


def test_a_pid_that_is_used_again_is_another_owner() -> None:
    assert not owner_lives(f"{os.getpid()}.1")


@pytest.mark.parametrize("label", ["", "x", "1", "1.", ".1", "-1.5", "999999999.1"])
def test_a_label_that_makes_no_sense_has_no_living_owner(label: str) -> None:
    assert not owner_lives(label)


@pytest.fixture
def campaign(engine: docker.APIClient) -> Iterator[str]:
    name = f"reap-{secrets.token_hex(4)}"
    yield name
    for container in engine.containers(all=True, filters={"label": f"ratchet.test={name}"}):
        engine.remove_container(container["Id"], force=True)


def leave(engine: docker.APIClient, image: str, test: str, **labels: str) -> str:
    """A container as some run might have left it."""
    alive = {
        "campaign": "other",
        "run": "r",
        "pid": owner_label(os.getpid()),
        "deadline": str(int(time.monotonic()) + 99),
    }
    named = {f"ratchet.{key}": value for key, value in {**alive, **labels, "test": test}.items()}
    return str(engine.create_container(image, ["true"], labels=named)["Id"])


@pytest.mark.docker
def test_only_what_nobody_needs_is_removed(engine: docker.APIClient, image: str, campaign: str, dead: str) -> None:
    kept = {
        leave(engine, image, campaign),
        leave(engine, image, campaign, campaign=campaign, run="now"),
    }
    gone = {
        leave(engine, image, campaign, pid=dead),
        leave(engine, image, campaign, campaign=campaign, run="before"),
        leave(engine, image, campaign, deadline="5"),
    }
    assert reap(engine, campaign, "now") >= len(gone)
    found = engine.containers(all=True, filters={"label": f"ratchet.test={campaign}"})
    assert {container["Id"] for container in found} == kept
