"""The host's side of the boxes: one private folder for each run, short enough for the sockets in it.

A run's folder is `<campaign>/boxes/<run>`. The link `<run>.owner` beside it, made first, points to its owner's label:
a link appears with its content at once. Where the path is too long for a Unix socket, the folder lies among the
temporary files and its name holds the owner.
"""

from __future__ import annotations

import os
import secrets
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from agent.base.errors import SandboxDown, UserError
from agent.base.owner import folder_prefix, owner_label, owner_lives

SOCKET = "gateway.sock"
SOCKET_PATH_MAX = 107 if sys.platform == "linux" else 103
"""Bytes that Linux, or macOS, takes for the path of a Unix socket."""

BOX_NAME, RUN_NAME, TEMP_NAME = 12, 6, 8


class RunFolder:
    """Where one run keeps the folders of its boxes. Made at the first box; other runs' folders are not touched.

    Args:
        wanted: the folder for all runs of the campaign; made here.

    Raises:
        SandboxDown: `wanted` cannot be made.
        UserError: no folder of this machine has a path that is short enough.
    """

    def __init__(self, wanted: Path) -> None:
        self._wanted = wanted.absolute()
        self._short = None if _fits(self._wanted, RUN_NAME) else _short_place()
        self._made: Path | None = None
        self._making = threading.Lock()  # boxes are made in threads, and one folder is enough
        try:
            self._wanted.mkdir(parents=True, exist_ok=True)
            self._wanted.chmod(0o700)
        except OSError as error:
            raise SandboxDown(f"cannot make {wanted}: {error.strerror}") from error

    def for_box(self, name: str) -> Path:
        """The path of a box's folder. Raises SandboxDown."""
        try:
            with self._making:
                self._made = self._made or self._make()
        except OSError as error:
            raise SandboxDown(f"cannot make a folder in {self._short or self._wanted}: {error.strerror}") from error
        return self._made / name

    def remove(self) -> None:
        """Remove what this run made."""
        if self._made is not None:
            _remove(self._made)
            self._made = None

    def _make(self) -> Path:
        if self._short:
            return _temporary(self._short)
        folder = self._wanted / secrets.token_hex(RUN_NAME // 2)
        folder.with_suffix(".owner").symlink_to(owner_label(os.getpid()))
        folder.mkdir(mode=0o700)
        return folder


def reap_folders(wanted: Path) -> None:
    """Remove the folders of dead runs: in the campaign's folder, and among the temporary files."""
    for folder in _of_campaign(wanted):
        if not owner_lives(_owner_of(folder)):
            _remove(folder)
    reap_temporary()


def temporary_folder() -> Path:
    """A new private folder among the temporary files, with a path short enough for sockets in it.

    It goes with its owner: `reap_temporary` of a later process removes it if this one does not.

    Raises:
        UserError: no folder of this machine has a path that is short enough.
    """
    return _temporary(_short_place())


def reap_temporary() -> None:
    """Remove the folders of dead processes among the temporary files."""
    for place in _short_places():
        for folder in place.glob("ratchet-*.*-*"):
            owner = folder.name.removeprefix("ratchet-").rpartition("-")[0]
            with suppress(OSError):  # it has just been removed
                if folder.is_dir() and folder.stat().st_uid == os.geteuid() and not owner_lives(owner):
                    shutil.rmtree(folder, ignore_errors=True)


def _temporary(place: Path) -> Path:
    return Path(tempfile.mkdtemp(prefix=folder_prefix(), dir=place))


def _of_campaign(wanted: Path) -> Iterator[Path]:
    """Every run's folder, also one of which only the folder or only the owner is left."""
    with suppress(FileNotFoundError):
        yield from {path.with_suffix("") for path in wanted.iterdir()}


def _owner_of(folder: Path) -> str:
    try:
        return os.readlink(folder.with_suffix(".owner"))  # noqa: PTH115 - a label, not a path
    except OSError:
        return ""


def _remove(folder: Path) -> None:
    """The folder first: while it is there, its owner is known."""
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):
        folder.with_suffix(".owner").unlink()


def _fits(parent: Path, run_name: int) -> bool:
    longest = parent / ("x" * run_name) / ("x" * BOX_NAME) / SOCKET
    return len(os.fsencode(longest)) <= SOCKET_PATH_MAX


def _short_places() -> list[Path]:
    """Folders for temporary files, the user's own choice first."""
    named = [tempfile.gettempdir(), "/tmp", "/var/tmp", os.environ.get("XDG_RUNTIME_DIR")]  # noqa: S108
    return [*dict.fromkeys(Path(name) for name in (*named, f"/run/user/{os.geteuid()}") if name)]


def _short_place() -> Path:
    """The first folder for temporary files in which the path of a socket has room."""
    for place in _short_places():
        if _fits(place, len(folder_prefix()) + TEMP_NAME) and place.is_dir() and os.access(place, os.W_OK | os.X_OK):
            return place
    problem = "has no writable folder with a path short enough for the socket of a box"
    raise UserError("TMPDIR", problem, "Set it to a folder with a short path, as /tmp.")
