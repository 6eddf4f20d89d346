"""What a dead run left is found and removed; what belongs to the living stays."""

from __future__ import annotations

import os
import secrets
import subprocess
import time
from collections.abc import Iterator

import docker
import pytest

from agent.base.owner import owner_label, owner_lives, owner_visible
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


def elsewhere(**changed: str) -> str:
    """The label of a process like this one, in another place."""
    here = dict(zip(("pid", "start", "boot", "namespace", "host"), owner_label(os.getpid()).split("."), strict=True))
    return ".".join({**here, **changed}.values())


def test_a_process_that_cannot_be_seen_from_here_is_not_taken_for_dead() -> None:
    in_a_container, on_another_host = elsewhere(namespace="0000"), elsewhere(boot="000000", host="000000")
    for label in (in_a_container, on_another_host):
        assert owner_lives(label)
        assert not owner_visible(label)
    assert owner_visible(owner_label(os.getpid()))


def test_a_process_of_an_earlier_boot_of_this_machine_is_dead() -> None:
    assert not owner_lives(elsewhere(boot="000000"))
    assert not owner_lives(elsewhere(boot="000000", namespace="0000"))


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
        "owner": owner_label(os.getpid()),
        "deadline": str(int(time.time()) + 99),
    }
    named = {f"ratchet.{key}": value for key, value in {**alive, **labels, "test": test}.items()}
    # Podman's own limits are more than a service without CAP_SYS_RESOURCE may grant.
    limits = [docker.types.Ulimit(name=name, soft=1024, hard=1024) for name in ("nofile", "nproc")]
    host = engine.create_host_config(ulimits=limits)
    return str(engine.create_container(image, ["true"], labels=named, host_config=host)["Id"])


def left(engine: docker.APIClient, test: str) -> set[str]:
    """The containers of one test that are still there."""
    return {str(one["Id"]) for one in engine.containers(all=True, filters={"label": f"ratchet.test={test}"})}


@pytest.mark.docker
def test_only_what_nobody_needs_is_removed(engine: docker.APIClient, image: str, campaign: str, dead: str) -> None:
    kept = {
        leave(engine, image, campaign),
        leave(engine, image, campaign, campaign=campaign, run="before"),
        leave(engine, image, campaign, deadline="5"),
        leave(engine, image, campaign, owner=elsewhere(namespace="0000")),
    }
    gone = {
        leave(engine, image, campaign, owner=dead),
        leave(engine, image, campaign, campaign=campaign, run="before", owner=dead),
        leave(engine, image, campaign, owner=elsewhere(boot="000000")),
        leave(engine, image, campaign, owner=elsewhere(namespace="0000"), deadline="5"),
        leave(engine, image, campaign, owner="", pid=".".join(dead.split(".")[:2])),
    }
    assert reap(engine) >= len(gone)
    until = time.monotonic() + 20
    while (found := left(engine, campaign)) != kept and time.monotonic() < until:
        time.sleep(0.1)  # other runs reap too: what they are removing is still listed for a moment
    assert found == kept


@pytest.mark.docker
def test_the_box_of_an_owner_out_of_sight_goes_once_it_has_ended(
    engine: docker.APIClient, image: str, campaign: str
) -> None:
    ended = leave(engine, image, campaign, owner=elsewhere(host="000000"))
    engine.start(ended)
    engine.wait(ended, timeout=30)
    reap(engine)
    assert engine.containers(all=True, filters={"label": f"ratchet.test={campaign}"}) == []
