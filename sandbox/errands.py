"""What the runner of a machine does about files, by processes inside of it.

Standard library only; a copy lies in the image. What runs inside imports nothing any more: there, every module could be
a candidate's.
"""

from __future__ import annotations

import re  # noqa: F401 - what runs inside imports nothing: globs would import this

from sandbox import frames, machine, snapshot, workspace
from sandbox.copying import TESTS


def machine_of(options: list[str]) -> machine.Machine:
    """The machine that a box is asked to have, made; two words follow the option: its user and its room in MiB."""
    at = options.index("--machine")
    return machine.build(int(options[at + 1]), int(options[at + 2]))


def inside(box: machine.Machine, kind: bytes, payload: bytes) -> tuple[bytes, bytes]:
    """The answer to a request about files, which a process inside of the machine finds.

    Raises:
        OSError, frames.Malformed: it cannot be done.
    """
    if kind == frames.HIDE:
        box.hide(lambda: workspace.put(payload[1:], TESTS), sealed=payload[:1] == b"1")
    elif kind == frames.PUT:
        box.inside(lambda: workspace.put(payload), 0)
    elif kind == frames.THAW:
        box.inside(lambda: snapshot.thaw(payload), 0)
    else:
        order = frames.read_order(payload)
        if kind == frames.NAME:
            return frames.NAMES, box.inside(lambda: workspace.names(**order), frames.MAX_PUT)
        if kind == frames.FREEZE:
            most = order["most"]
            freeze = lambda: snapshot.freeze(box.base, box.settled, most)  # noqa: E731
            return frames.FILES, box.inside(freeze, most)
        most = frames.tar_limit(order["max_files"], order["max_bytes"])
        return frames.FILES, box.inside(lambda: workspace.take(**order), most)
    return frames.OK, b""
