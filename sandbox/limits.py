"""What makes a container a box: privileges, limits and mounts, for Docker and for Podman."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import docker

from agent.base.types import BoxSpec
from sandbox.areas import MOUNTED

SECCOMP = Path(__file__).parent / "seccomp.json"
SECCOMP_MACHINE = Path(__file__).parent / "seccomp_machine.json"
TO_BUILD = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "SETGID", "SETUID"]
"""Capabilities with which a machine is made, and which our runner gives up before anything of a candidate runs."""

SHM_MB = 16
INODES, SHM_INODES = 128, 256
"""Files of a MiB of the workspace, and all files of the shared memory."""

OPEN_FILES = 1024
PROCESSES = 30_000
"""Podman's default, 2^20, is more than a service without CAP_SYS_RESOURCE may grant; `pids_limit` is what counts."""


def limits(
    spec: BoxSpec, folder: Path | None, *, cpus: float, podman: bool, image_mb: int = 0, apparmor: bool = False
) -> dict[str, Any]:
    """Arguments for the engine's host configuration.

    Args:
        spec: what is asked for; its user is chosen.
        folder: what the box sees of the host, read-only; None gives it a volume of the engine instead.
        cpus: how many processors the engine has.
        podman: whether the engine is Podman.
        image_mb: what a machine's copy of its image takes; it is not the candidate's.
        apparmor: whether the engine confines containers by AppArmor, whose usual profile refuses all mounts.
    """
    memory = (spec.memory_mb + image_mb) << 20
    seccomp = SECCOMP_MACHINE if spec.machine else SECCOMP
    return {
        "network_mode": "none",
        "cap_drop": ["ALL"],
        **({"cap_add": TO_BUILD} if spec.machine else {}),
        "security_opt": [
            "no-new-privileges:true",
            f"seccomp={seccomp if podman else seccomp.read_text()}",
            *(["apparmor=unconfined"] if spec.machine and apparmor else []),
        ],
        "read_only": True,
        "pids_limit": spec.pids,
        "mem_limit": memory,
        "memswap_limit": memory,
        "nano_cpus": int(min(spec.cpus, cpus) * 1e9),
        "ipc_mode": "none",
        "tmpfs": (_podman_mounts if podman else _docker_mounts)(spec),
        "mounts": [_areas(folder)],
        "ulimits": [
            docker.types.Ulimit(name="core", soft=0, hard=0),
            docker.types.Ulimit(name="nofile", soft=OPEN_FILES, hard=OPEN_FILES),
            *([docker.types.Ulimit(name="nproc", soft=PROCESSES, hard=PROCESSES)] if podman else []),
        ],
    }


def _areas(folder: Path | None) -> docker.types.Mount:
    """Where the read-only areas come from; see `sandbox.areas`."""
    if folder is None:
        return docker.types.Mount(MOUNTED, None, type="volume", no_copy=True)
    # Not as "a:b:ro", which no path with a colon can be told from.
    return docker.types.Mount(MOUNTED, str(folder), type="bind", read_only=True)


def _docker_mounts(spec: BoxSpec) -> dict[str, str]:
    shared = f"rw,nosuid,nodev,noexec,size={SHM_MB}m,nr_inodes={SHM_INODES},mode=1777"
    if spec.machine:
        return {"/dev/shm": shared}  # noqa: S108 - in the box
    owner = f"uid={spec.user},gid={spec.user}"
    scratch = f"rw,nosuid,nodev,exec,size={spec.disk_mb}m,nr_inodes={spec.disk_mb * INODES},{owner},mode=0755"
    return {
        "/workspace": scratch,
        "/tmp": scratch,  # noqa: S108 - in the box
        "/dev/shm": shared,  # noqa: S108 - in the box
    }


def _podman_mounts(spec: BoxSpec) -> dict[str, str]:
    """Podman knows no limit on inodes: there, files are limited by the memory that they take.

    `U` gives a mount to the box's user. Podman makes /run and /var/tmp writable without a limit unless they are named.
    """
    if spec.machine:
        return {"/dev/shm": f"rw,nosuid,nodev,noexec,size={SHM_MB}m,mode=1777"}  # noqa: S108 - in the box
    scratch = f"rw,nosuid,nodev,exec,size={spec.disk_mb}m,U"
    return {
        "/workspace": scratch,
        "/tmp": scratch,  # noqa: S108 - in the box
        "/dev/shm": f"rw,nosuid,nodev,noexec,size={SHM_MB}m,U",  # noqa: S108 - in the box
        "/run": "rw,nosuid,nodev,noexec,size=1m,mode=0755",
        "/var/tmp": "ro,nosuid,nodev,noexec,size=1m",  # noqa: S108 - in the box
    }
