"""What a runtime is asked for: never less than Docker is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import docker
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.base.types import BoxSpec
from sandbox.limits import SECCOMP, limits
from sandbox.oci.bundle import ARCHITECTURES, bundle

SPECS = st.builds(
    BoxSpec,
    image=st.just("i"),
    gateway=st.booleans(),
    memory_mb=st.integers(64, 1 << 16),
    cpus=st.floats(0.1, 64),
    pids=st.integers(16, 4096),
    disk_mb=st.integers(8, 1 << 14),
    user=st.integers(1, 1 << 20),
)


def made(spec: BoxSpec, *, machine: str = "x86_64", folder: str = "/run/b", **changed: Any) -> dict[str, Any]:
    given_ = {
        "options": ["--gateway"],
        "image_env": ["LANG=de", "PATH=/image/bin", "X=1"],
        "folder": Path(folder),
        "root": Path("/r"),
        "group": "/ratchet/b/box",
        "memory": spec.memory_mb << 20,
        "cpus": 4.0,
        "labels": {"ratchet.owner": "1.2"},
    }
    return bundle(spec, machine=machine, **{**given_, **changed})


@given(spec=SPECS)
def test_limits_are_those_that_docker_gets(spec: BoxSpec) -> None:
    resources = made(spec)["linux"]["resources"]
    asked = limits(spec, Path("/run/b"), cpus=4.0, podman=False)
    assert resources["memory"] == {"limit": asked["mem_limit"]}
    assert resources["pids"]["limit"] == asked["pids_limit"]
    assert resources["cpu"]["quota"] / resources["cpu"]["period"] == pytest.approx(asked["nano_cpus"] / 1e9, abs=2e-5)
    assert resources["devices"] == [{"allow": False, "access": "rwm"}]


@given(spec=SPECS)
def test_the_same_places_can_be_written_up_to_the_same_size(spec: BoxSpec) -> None:
    found = {one["destination"]: set(one["options"]) for one in made(spec)["mounts"]}
    for place, text in limits(spec, Path("/run/b"), cpus=4.0, podman=False)["tmpfs"].items():
        assert set(text.split(",")) - {"rw", "exec"} <= found[place]
    writable = {place for place, options in found.items() if "ro" not in options}
    assert writable == {"/workspace", "/tmp", "/dev/shm", "/dev", "/dev/pts", "/proc"}


@given(spec=SPECS)
def test_a_box_has_no_privilege(spec: BoxSpec) -> None:
    config = made(spec)
    process = config["process"]
    assert config["root"]["readonly"]
    assert process["noNewPrivileges"]
    assert not any(process["capabilities"].values())
    assert len(process["capabilities"]) == 5
    assert {process["user"]["uid"], process["user"]["gid"], *process["user"]["additionalGids"]} == {spec.user}
    kinds = {one["type"] for one in config["linux"]["namespaces"]}
    assert kinds == {"pid", "mount", "uts", "ipc", "network", "cgroup"}
    assert not any("path" in one for one in config["linux"]["namespaces"])
    assert {one["type"]: one["hard"] for one in process["rlimits"]} == {"RLIMIT_CORE": 0, "RLIMIT_NOFILE": 1024}


@pytest.mark.docker
def test_what_docker_hides_of_proc_and_sys_is_hidden(engine: docker.APIClient, image: str) -> None:
    container = engine.create_container(image, ["true"])["Id"]
    host = engine.inspect_container(container)["HostConfig"]
    engine.remove_container(container)
    linux = made(BoxSpec(image="i", gateway=False, user=5))["linux"]
    assert set(host["MaskedPaths"]) <= set(linux["maskedPaths"])
    assert set(host["ReadonlyPaths"]) <= set(linux["readonlyPaths"])


def test_the_list_of_system_calls_is_ours_for_this_processor_alone() -> None:
    ours = json.loads(SECCOMP.read_text())
    for machine, architecture in ARCHITECTURES.items():
        found = made(BoxSpec(image="i", gateway=False, user=5), machine=machine)["linux"]["seccomp"]
        assert found["architectures"] == [architecture]
        assert (found["defaultAction"], found["defaultErrnoRet"]) == (ours["defaultAction"], ours["defaultErrnoRet"])
        kept = [{key: rule[key] for key in rule if key != "comment"} for rule in ours["syscalls"]]
        assert found["syscalls"] == kept


def test_the_images_environment_comes_before_ours_and_after_a_path() -> None:
    env = made(BoxSpec(image="i", gateway=False, user=5))["process"]["env"]
    settled = dict(one.split("=", 1) for one in env)
    assert (settled["PATH"], settled["X"], settled["LANG"], settled["HOME"]) == ("/image/bin", "1", "C.UTF-8", "/tmp")


def test_any_folder_can_be_mounted_and_is_read_only() -> None:
    mounts = made(BoxSpec(image="i", gateway=False, user=5), folder="/a,b:c/ä")["mounts"]
    (areas,) = (one for one in mounts if one["destination"] == "/run/ratchet")
    assert areas["source"] == "/a,b:c/ä"
    assert {"bind", "ro", "nosuid", "nodev"} <= set(areas["options"])
