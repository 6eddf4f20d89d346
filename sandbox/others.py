"""Processor time of programs that no box can set to work: what is left after all that Ratchet causes.

Counted: the processes of this machine, also those in other containers. Not counted, because a box could make them busy:

* the boxes of this process, told by their user ids;
* this process, and children of it that run Ratchet's code (the embedded model);
* the container engine, and kernel threads;
* a server on this machine to which this process holds a connection (a local model), with its children. If that server
  may be in a container (a port of the engine's proxy, a private address), no container counts from then on.

What cannot be read counts as nothing, so an error here never voids a trial. The time of a child counts with its parent
once it has ended, except below init, which also inherits what engines leave.
"""

from __future__ import annotations

import ipaddress
import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
ENGINE = re.compile(r"dockerd|containerd(-shim.*)?|docker-(proxy|init)|runc(:\[.*)?|crun|podman|conmon|runsc.*|exe")
KTHREADD, INIT = 2, 1
UTIME, CSTIME, PPID, STARTED = 11, 14, 1, 19  # fields of /proc/<pid>/stat after the name
PROXY = re.compile(r"docker-proxy|rootlessport|slirp4netns|pasta.*|conmon")
ESTABLISHED, LISTENING = "01", "0A"
OUR_RUNNER = "/usr/lib/ratchet/__main__.py\0"
OUR_CODE = re.compile(rb"(^|[\0/])agent[./]")


@dataclass(frozen=True, slots=True)
class _Process:
    pid: int
    parent: int
    started: str
    name: str
    ticks: int
    child_ticks: int


class Others:
    """Adds up the processor time of other programs; one object for the life of a sandbox.

    Args:
        ours: whether a user id belongs to a box of this process.
        containers: whether to count other containers; not where user ids do not tell them from our boxes.
    """

    def __init__(self, ours: Callable[[int], bool], *, containers: bool = True) -> None:
        self._ours, self._containers = ours, containers
        self._levels = len(_status(os.getpid()).get("NSpid", "").split())
        self._known: dict[tuple[int, str], bool | None] = {}
        self._before: dict[int, _Process] = {}
        self._ticks = 0
        self._ports: frozenset[int] = frozenset()
        self._servers: frozenset[int] = frozenset()

    def seconds(self) -> float:
        """Seconds of processor time since the first call."""
        now = {process.pid: process for process in _processes()}
        self._find_servers(now)
        ended: Counter[int] = Counter()
        for old in self._before.values():
            if _same(old, now) is None:
                ended[old.parent] += old.ticks + old.child_ticks
        known = {(p.pid, p.started): self._known.get((p.pid, p.started)) for p in now.values()}
        for process in now.values():
            key = (process.pid, process.started)
            counts = known[key] = self._counts(process, now) if known[key] is None else known[key]
            if counts and self._before:
                self._ticks += _growth(process, _same(process, self._before), ended[process.pid])
        self._known, self._before = known, now
        return self._ticks / os.sysconf("SC_CLK_TCK")

    def _counts(self, process: _Process, processes: dict[int, _Process]) -> bool:
        line = set(_ancestors(process, processes))
        if KTHREADD in line or process.pid == os.getpid() or ENGINE.fullmatch(process.name):
            return False
        if self._servers & line or (os.getpid() in line and _runs_our_code(process.pid)):
            return False
        return self._outside_boxes(process.pid)

    def _outside_boxes(self, pid: int) -> bool:
        """Whether a process is in none of our boxes."""
        status = _status(pid)
        users, levels = status.get("Uid", "").split(), status.get("NSpid", "").split()
        if not users or not levels or (users[0] == "0" and _makes_a_machine(pid)):
            return False
        return len(levels) <= self._levels or (self._containers and not self._ours(int(users[0])))

    def _find_servers(self, processes: dict[int, _Process]) -> None:
        """Look for servers of this machine to which we are connected; those once found stay known."""
        rows = list(_tcp())
        reached = _reached(rows)
        listening = {row.port for row in rows if row.state == LISTENING}
        ports = frozenset(port for _, port in reached if port in listening)
        private = any(address.is_private and not address.is_loopback for address, _ in reached)
        if ports <= self._ports and not (private and self._containers):
            return
        self._ports |= ports
        self._servers |= frozenset(_listeners(rows, self._ports))
        names = [processes[pid].name for pid in self._servers if pid in processes]
        if private or any(PROXY.fullmatch(name) for name in names):
            self._containers = False
        self._known = {}


def _same(process: _Process, among: dict[int, _Process]) -> _Process | None:
    """The same process at another time; a pid that is used again is another process."""
    found = among.get(process.pid)
    return found if found and found.started == process.started else None


def _growth(now: _Process, before: _Process | None, ended: int) -> int:
    """Ticks since the last look, those of children that began and ended since included; `ended` are known ones."""
    own, children = (before.ticks, before.child_ticks) if before else (0, 0)
    return now.ticks - own + (max(0, now.child_ticks - children - ended) if now.pid != INIT else 0)


def _processes() -> Iterator[_Process]:
    for entry in PROC.iterdir():
        if entry.name.isdecimal() and (text := _read(entry / "stat")):
            name, _, rest = text.partition("(")[2].rpartition(")")
            fields = rest.split()
            times = [int(field) for field in fields[UTIME : CSTIME + 1]]
            yield _Process(
                int(entry.name), int(fields[PPID]), fields[STARTED], name, sum(times[:2]), max(0, sum(times[2:]))
            )


def _ancestors(process: _Process | None, processes: dict[int, _Process]) -> Iterator[int]:
    """The process and its parents, up to init or the edge of what can be seen."""
    seen: set[int] = set()
    while process is not None and process.pid not in seen:
        seen.add(process.pid)
        yield process.pid
        process = processes.get(process.parent)


def _runs_our_code(pid: int) -> bool:
    return OUR_CODE.search(_read(PROC / str(pid) / "cmdline").encode(errors="surrogateescape")) is not None


def _makes_a_machine(pid: int) -> bool:
    """Whether it is the runner of a box, which is root until its machine is made."""
    return OUR_RUNNER in _read(PROC / str(pid) / "cmdline")


def _status(pid: int) -> dict[str, str]:
    lines = _read(PROC / str(pid) / "status").splitlines()
    return {name: value for name, _, value in (line.partition(":") for line in lines)}


@dataclass(frozen=True, slots=True)
class _Row:
    """One TCP socket of this network namespace; `port` is its own."""

    port: int
    remote: tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, int]
    state: str
    user: int
    inode: int


def _tcp() -> Iterator[_Row]:
    for name in ("tcp", "tcp6"):
        for line in _read(PROC / "net" / name).splitlines()[1:]:
            fields = line.split()
            yield _Row(_end(fields[1])[1], _end(fields[2]), fields[3], int(fields[7]), int(fields[9]))


def _end(text: str) -> tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, int]:
    """An address as the kernel prints it: words in the machine's byte order, then the port."""
    words, _, port = text.partition(":")
    raw = b"".join(int(words[at : at + 8], 16).to_bytes(4, sys.byteorder) for at in range(0, len(words), 8))
    address = ipaddress.ip_address(raw)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address, int(port, 16)


def _reached(rows: list[_Row]) -> list[tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, int]]:
    """Where the connections of this process lead."""
    ours: set[int] = set()
    for fd in os.listdir("/proc/self/fd"):  # noqa: PTH208 - not a folder of files
        with suppress(OSError):
            ours.add(os.stat(f"/proc/self/fd/{fd}").st_ino)  # noqa: PTH116
    return [row.remote for row in rows if row.state == ESTABLISHED and row.inode in ours]


def _listeners(rows: list[_Row], ports: frozenset[int]) -> Iterator[int]:
    """The processes that listen at these ports; every process of their user where only the user can be seen."""
    listening = [row for row in rows if row.state == LISTENING and row.port in ports]
    inodes, users = {f"socket:[{row.inode}]" for row in listening}, {row.user for row in listening}
    hidden = users - {0, os.geteuid()} if os.geteuid() else set()
    for entry in PROC.iterdir():
        with suppress(OSError):
            user = entry.stat().st_uid
            if entry.name.isdecimal() and (user in hidden or (user in users and _holds(entry, inodes))):
                yield int(entry.name)


def _holds(process: Path, inodes: set[str]) -> bool:
    return any(os.readlink(fd) in inodes for fd in (process / "fd").iterdir())  # noqa: PTH115


def _read(path: Path) -> str:
    """The text of a file of /proc; empty if it has gone."""
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""
