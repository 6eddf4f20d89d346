"""What makes a container of an OCI runtime a box: the same privileges, limits and mounts that Docker is asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from agent.base.types import BoxSpec
from sandbox.areas import MOUNTED
from sandbox.containers import ENV, RUNNER
from sandbox.limits import INODES, OPEN_FILES, SECCOMP, SHM_INODES, SHM_MB

PERIOD = 100_000
"""Microseconds in which a box may use its share of processors."""

NAMESPACES = ("pid", "mount", "uts", "ipc", "network", "cgroup")
CAPABILITY_SETS = ("bounding", "effective", "inheritable", "permitted", "ambient")
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
MASKED = (
    *("/proc/asound", "/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list"),
    *("/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/proc/interrupts", "/sys/firmware"),
    *("/sys/devices/virtual/powercap",),
)
READ_ONLY_PATHS = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
"""As Docker has both."""

ARCHITECTURES = {"x86_64": "SCMP_ARCH_X86_64", "aarch64": "SCMP_ARCH_AARCH64", "riscv64": "SCMP_ARCH_RISCV64"}


def bundle(
    spec: BoxSpec,
    *,
    options: Sequence[str],
    image_env: Sequence[str],
    folder: Path,
    root: Path,
    group: str,
    memory: int,
    cpus: float,
    machine: str,
    labels: Mapping[str, str],
) -> dict[str, Any]:
    """The configuration of a container.

    Args:
        spec: what is asked for; its user is chosen.
        options: of our runner.
        image_env: the environment that the image wants, as `NAME=value`.
        folder: what the box sees of the host, read-only.
        root: the image's tree.
        group: the control group that the runtime makes.
        memory: the limit that this group has, in bytes. The one around it also forbids swap; see `groups`.
        cpus: how many processors the machine has.
        machine: the processor's architecture, as `uname` calls it.
        labels: of the container.
    """
    return {
        "ociVersion": "1.0.2",
        "annotations": dict(labels),
        "hostname": "box",
        "root": {"path": str(root), "readonly": True},
        "process": _process(spec, options, image_env),
        "mounts": _mounts(spec, folder),
        "linux": {
            "namespaces": [{"type": kind} for kind in NAMESPACES],
            "maskedPaths": list(MASKED),
            "readonlyPaths": list(READ_ONLY_PATHS),
            "seccomp": _seccomp(ARCHITECTURES[machine]),
            "cgroupsPath": group,
            "resources": {
                "devices": [{"allow": False, "access": "rwm"}],
                "memory": {"limit": memory},
                "pids": {"limit": spec.pids},
                "cpu": {"quota": int(min(spec.cpus, cpus) * PERIOD), "period": PERIOD},
            },
        },
    }


def _process(spec: BoxSpec, options: Sequence[str], image_env: Sequence[str]) -> dict[str, Any]:
    own = [f"{name}={value}" for name, value in {**ENV, "HOSTNAME": "box"}.items()]
    return {
        "terminal": False,
        "user": {"uid": spec.user, "gid": spec.user, "additionalGids": [spec.user]},
        "args": [*RUNNER, *options],
        "env": [PATH, *image_env, *own],
        "cwd": "/workspace",
        "capabilities": {name: [] for name in CAPABILITY_SETS},
        "noNewPrivileges": True,
        "oomScoreAdj": 0,
        "rlimits": [
            {"type": "RLIMIT_CORE", "hard": 0, "soft": 0},
            {"type": "RLIMIT_NOFILE", "hard": OPEN_FILES, "soft": OPEN_FILES},
        ],
    }


def _mounts(spec: BoxSpec, folder: Path) -> list[dict[str, Any]]:
    plain = ["nosuid", "noexec", "nodev"]
    sizes = [f"size={spec.disk_mb}m", f"nr_inodes={spec.disk_mb * INODES}"]
    scratch = ["nosuid", "nodev", *sizes, "mode=0755", f"uid={spec.user}", f"gid={spec.user}"]
    shared = [*plain, f"size={SHM_MB}m", f"nr_inodes={SHM_INODES}", "mode=1777"]
    terminals = ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]
    return [
        _mount("/proc", "proc", plain),
        _mount("/dev", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
        _mount("/dev/pts", "devpts", terminals),
        _mount("/dev/shm", "tmpfs", shared),  # noqa: S108 - in the box
        _mount("/sys", "sysfs", [*plain, "ro"]),
        _mount("/sys/fs/cgroup", "cgroup", [*plain, "ro"]),
        _mount("/workspace", "tmpfs", scratch),
        _mount("/tmp", "tmpfs", scratch),  # noqa: S108 - in the box
        _mount(MOUNTED, "bind", ["bind", "ro", "rprivate", "nosuid", "nodev"]) | {"source": str(folder)},
    ]


def _mount(target: str, kind: str, options: list[str]) -> dict[str, Any]:
    return {"destination": target, "type": kind, "source": kind, "options": options}


@cache
def _seccomp(architecture: str) -> dict[str, Any]:
    """Docker's form of our list in the form of the runtime."""
    docker = json.loads(SECCOMP.read_text())
    return {
        "defaultAction": docker["defaultAction"],
        "defaultErrnoRet": docker["defaultErrnoRet"],
        "architectures": [architecture],
        "syscalls": [{key: value for key, value in rule.items() if key != "comment"} for rule in docker["syscalls"]],
    }
