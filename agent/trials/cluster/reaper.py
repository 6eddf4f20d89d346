"""Runs on a node beside the node's process: when that ends, by whatever end, removes the boxes that it left.

python -m agent.trials.cluster.reaper DESCRIPTOR FOLDER     the read end of a pipe that the node's process holds open
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from agent.base.children import python_module, with_our_code
from agent.base.errors import RatchetError
from sandbox.engine import ENGINE_ERRORS, connect
from sandbox.folders import reap_folders
from sandbox.reap import reap

ATTEMPTS, PAUSE_SECONDS = 20, 3.0


def start(folder: Path) -> int:
    """Start a reaper for this process; returns the descriptor whose closing, or our end, sets it off.

    It does not stay our child: Ray kills the children of a process that it kills.
    """
    read, write = os.pipe()
    command = [*python_module("agent.trials.cluster.reaper"), str(read), str(folder)]
    launcher = (
        "import subprocess, sys; subprocess.Popen(sys.argv[2:], pass_fds=[int(sys.argv[1])], start_new_session=True)"
    )
    launch = [sys.executable, "-c", launcher, str(read), *command]
    subprocess.run(launch, env=with_our_code(os.environ), pass_fds=[read], check=True)
    os.close(read)
    return write


def main(descriptor: int, folder: Path) -> None:
    """Wait for the end, then clean up until nothing is left, for a minute at most."""
    os.read(descriptor, 1)
    for _ in range(ATTEMPTS):
        time.sleep(PAUSE_SECONDS)  # a box ends by itself when its pipe closes
        try:
            client = connect()
            left = reap(client)
            client.close()
        except (RatchetError, *ENGINE_ERRORS):
            continue
        if not left:
            break
    reap_folders(folder)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
