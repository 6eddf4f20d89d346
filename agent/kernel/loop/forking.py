"""A process that runs a program's `main` in a fork of itself for each request: to fork costs less than to start Python.

Standard library only, because this file is a program: `python -I -S forking.py PROGRAM`. The program's `prepare` is
run once. Standard input is a socket: each message on it carries a descriptor, which is standard input and output of
one run of `main`; the answer is the run's exit code as `subprocess` has it, in a line. It reads nothing of what a run
reads, and runs end before the next begins, so a run finds the process as it was at its start.
"""

from __future__ import annotations

import os
import runpy
import socket
import sys
from collections.abc import Callable


def serve(control: socket.socket, main: Callable[[], object]) -> None:
    """Serve one run after another, until the socket is closed."""
    while True:
        message, received, _, _ = socket.recv_fds(control, 1, 1)
        if not message:
            return
        (connection,) = received
        if (child := os.fork()) == 0:
            control.close()
            os._exit(_run(connection, main))
        os.close(connection)
        _, status = os.waitpid(child, 0)
        control.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))


def _run(connection: int, main: Callable[[], object]) -> int:
    """The exit code of one run, in the fork."""
    for number in (0, 1):
        os.dup2(connection, number)
    os.close(connection)
    try:
        main()
        sys.stdout.flush()
    except SystemExit as ending:
        return ending.code if isinstance(ending.code, int) else 1
    except BaseException:  # noqa: BLE001 - nothing may return into the loop of the parent
        return 1
    return 0


if __name__ == "__main__":
    program = runpy.run_path(sys.argv[1])
    program["prepare"]()
    serve(socket.socket(fileno=os.dup(0)), program["main"])
