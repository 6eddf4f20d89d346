"""What somebody else on this machine may do to a box, and what they see of it, by engine."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path
from typing import Protocol

import docker
from docker.errors import NotFound

from sandbox.frames import EXIT_HOST_GONE
from sandbox.oci.containers import HOME
from sandbox.oci.groups import Groups

END_SECONDS = 30


class Outside(Protocol):
    """One engine, as another program uses it."""

    def kill(self, box: str) -> None: ...

    def stop(self, box: str) -> None: ...

    def remove(self, box: str) -> None: ...

    def pause(self, box: str) -> None: ...

    def resume(self, box: str) -> None: ...

    def wait_for_lonely_end(self, box: str) -> None:
        """Return when a box has ended because its owner has gone."""
        ...

    def known(self, box: str) -> bool:
        """Whether anything is left of a box."""
        ...

    def of(self, campaign: str) -> list[str]:
        """The boxes of a campaign."""
        ...


class OutsideDocker:
    """Docker's own API."""

    def __init__(self, client: docker.APIClient) -> None:
        self._client = client

    def kill(self, box: str) -> None:
        self._client.kill(box)

    def stop(self, box: str) -> None:
        self._client.stop(box, timeout=0)

    def remove(self, box: str) -> None:
        self._client.remove_container(box, force=True)

    def pause(self, box: str) -> None:
        self._client.pause(box)

    def resume(self, box: str) -> None:
        self._client.unpause(box)

    def wait_for_lonely_end(self, box: str) -> None:
        assert self._client.wait(box, timeout=END_SECONDS)["StatusCode"] == EXIT_HOST_GONE

    def known(self, box: str) -> bool:
        try:
            self._client.inspect_container(box)
        except NotFound:
            return False
        return True

    def of(self, campaign: str) -> list[str]:
        found = self._client.containers(all=True, filters={"label": f"ratchet.campaign={campaign}"})
        return [str(one["Id"]) for one in found]


class OutsideOci:
    """Signals, control groups and files."""

    def __init__(self) -> None:
        self._groups = Groups()

    def kill(self, box: str) -> None:
        # Not the lowest number: the kernel begins again at its highest one.
        first = next(pid for pid in self._groups.pids(box) if _number_inside(pid) == 1)
        os.kill(first, signal.SIGKILL)

    def stop(self, box: str) -> None:
        self.kill(box)

    def remove(self, box: str) -> None:
        self.kill(box)
        shutil.rmtree(HOME / box)

    def pause(self, box: str) -> None:
        self._freeze(box, "FROZEN", "1")

    def resume(self, box: str) -> None:
        self._freeze(box, "THAWED", "0")

    def _freeze(self, box: str, old: str, new: str) -> None:
        path = self._groups.path(box).strip("/")
        if self._groups.unified:
            Path("/sys/fs/cgroup", path, "cgroup.freeze").write_text(new)
        else:
            Path("/sys/fs/cgroup/freezer", path, "freezer.state").write_text(old)

    def wait_for_lonely_end(self, box: str) -> None:
        end = time.monotonic() + END_SECONDS
        while self._groups.pids(box):
            assert time.monotonic() < end
            time.sleep(0.05)

    def known(self, box: str) -> bool:
        places = (HOME / box, HOME / f"{box}.owner", HOME / "state" / box)
        return any(os.path.lexists(place) for place in places) or any(Path("/sys/fs/cgroup").glob(f"*/ratchet/{box}"))

    def of(self, campaign: str) -> list[str]:
        return [path.parent.name for path in HOME.glob("*/config.json") if f'"{campaign}"' in path.read_text()]


def _number_inside(pid: int) -> int:
    """The id of a process in its own namespace."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("NSpid:")).split()[-1])
