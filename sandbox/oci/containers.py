"""Containers of an OCI runtime that are boxes: their start, what is known of them, and their end.

`home` holds, for each box: the link `<box>.owner`, made first, which points to its owner's label; and the folder
`<box>` with the runtime's configuration. No two boxes of one home have a name, and with it a user id, at a time.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import select
import shutil
import socket
import subprocess
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from agent.base.errors import RatchetError, SandboxDown, UserError
from agent.base.owner import owner_label
from sandbox.areas import Areas, SharedAreas
from sandbox.containers import options
from sandbox.contract import Order, Started, State, Thread
from sandbox.oci.bundle import bundle
from sandbox.oci.groups import Group, Groups
from sandbox.oci.mounts import lay, own_mounts, unmount
from sandbox.oci.program import FIELD, Program, find_program
from sandbox.oci.roots import Root, open_root
from sandbox.reap import BOX_LIFE_SECONDS, labels, left_behind
from sandbox.users import IN_USE, OWN_OCI, TRIES, any_user, container_name
from sandbox.wire import STREAM_LIMIT, Wire

HOME = Path("/run/ratchet")
END_SECONDS = 1.0
"""How long a box may take to end by itself once its pipe is closed."""

KILL_SECONDS = 10.0
ENDED_BY_OTHERS = 255
"""The code of a box whose runtime was killed: an engine has the same for an end that it did not see."""

_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Running:
    """A box: the runtime's process, which ends with it and with its exit code, and the group around it."""

    process: subprocess.Popen[bytes]
    group: Group
    folder: Path


class _Errands:
    """Work that is done even if its waiter is cancelled: no thread can be stopped."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def begin(self, work: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
        """Do it from now on."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def settle(self) -> None:
        """Return when all of it is done."""
        while self._tasks:
            await asyncio.wait(self._tasks)


class OciContainers:
    """Starts and removes containers by a runtime's program.

    Args:
        run_id: this run of the campaign, for a label.
        runtime: `crun` or `runc`; None is the first that is installed.
        groups: makes the control groups.
        home: what is known of boxes that live.
        thread: runs blocking work in a thread.
    """

    marks_memory = True
    shares = True

    def __init__(self, run_id: str, runtime: str | None, groups: Groups, home: Path, thread: Thread) -> None:
        self._run_id, self._token, self._runtime = run_id, secrets.token_hex(6), runtime
        self._groups, self._home, self._thread = groups, home, thread
        self._program: Program | None = None
        self._roots: dict[str, Root] = {}
        self._unpacking = asyncio.Lock()
        self._running: dict[str, _Running] = {}
        self._errands = _Errands()
        # All mounts are made, and all programs started, by the one thread that sees these mounts.
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="ratchet-oci")
        self.users = OWN_OCI

    async def open(self) -> None:
        """Find the runtime.

        Raises:
            UserError: there is none, or this user may not run boxes.
            SandboxDown: the machine lacks something that the limits of a box need.
        """
        self._program = await self._thread(find_program, self._runtime)
        try:
            await self._thread(self._groups.check)
            (self._home / "nothing").mkdir(mode=0o755, parents=True, exist_ok=True)
            self._home.chmod(0o700)
            await self._start_in_thread(own_mounts)
        except OSError as error:
            problem = f"oci cannot run boxes on this machine: {error}"
            raise UserError(FIELD, problem, "Run outside of a container, or use boxes.engine: docker.") from error

    async def close(self) -> None:
        """Remove what is left, and let the trees go."""
        await self._errands.settle()
        for box in list(self._running):
            with suppress(SandboxDown):
                await self._end(box)
        for root in self._roots.values():
            root.close()
        self._roots.clear()
        self._starter.shutdown(wait=False)

    async def reap(self) -> int:
        """Remove the boxes of dead owners; how many. That of an owner not seen from here: past its deadline."""
        return int(await self._thread(self._reap))

    def _reap(self) -> int:
        count = 0
        for link in self._home.glob("*.owner"):
            box = link.stem
            # No processes are no end: it may be just being made, and those of another PID namespace are not listed.
            if left_behind(_labels(link), ended=False):
                with suppress(SandboxDown):  # what cannot be ended now is not in our way
                    self._groups.kill(box)
                    self._clear(box)
                    count += 1
        return count

    async def start(self, order: Order) -> Started:
        """Make the bundle, and run it.

        Raises:
            UserError: the order is for what this engine has not.
            SandboxDown: it could not be started.
        """
        if self._program is None:
            raise SandboxDown("the sandbox is not open")
        if order.spec.machine:
            fix = "Use boxes.engine: docker, or leave out the tasks of this profile."
            raise UserError("profile: machine", "is not offered with boxes.engine: oci", fix)
        root = await self._root(order.spec.image)
        making = self._errands.begin(self._make(self._program, order, root))
        try:
            return await asyncio.shield(making)
        except asyncio.CancelledError:
            await asyncio.shield(self._errands.begin(self._unmake(making)))
            raise

    def areas(self, container: str, folder: Path | None) -> Areas:
        """In the folder that the box has mounted."""
        del container
        return SharedAreas(_given(folder))

    async def state(self, container: str) -> State:
        """What its runtime's process says. Raises SandboxDown if it was removed."""
        running = self._running.get(container)
        if running is None or not running.folder.exists():
            raise SandboxDown("a box was removed from outside")
        code = running.process.poll()
        if code is None:
            return State(running=True, code=0, out_of_memory=False)
        seen = ENDED_BY_OTHERS if code < 0 else code
        return State(running=False, code=seen, out_of_memory=running.group.out_of_memory())

    async def remove(self, container: str, user: int) -> None:
        """Kill and remove. What cannot be removed now is tried again in `close`."""
        with suppress(SandboxDown):
            await self._end(container)
        IN_USE[user] -= 1

    async def never_ready(self, order: Order, started: Started, error: Exception) -> RatchetError:
        """What the runtime, or the runner, said in place of it."""
        said = await self._thread(_text, self._home / started.id / "stderr")
        return SandboxDown(f"a box of {order.spec.image} did not become ready: {said or error or 'no answer'}")

    # ------------------------------------------------------------------ steps

    async def _root(self, image: str) -> Root:
        """The tree of an image; looked up once, since a tag of ours never changes its meaning while it is used."""
        async with self._unpacking:
            if image not in self._roots:
                self._roots[image] = await self._thread(open_root, image)
        return self._roots[image]

    async def _make(self, program: Program, order: Order, root: Root) -> Started:
        """A box whose runtime runs; nothing is left of one that fails. Raises SandboxDown."""
        box, user, group = await self._thread(self._prepare, order, root)
        IN_USE[user] += 1  # before anything runs in it: see sandbox.others
        try:
            wire = await self._launch(program, box, root, group)
        except BaseException as error:
            if box not in self._running:
                await self._discard(box, group)
            await self.remove(box, user)
            if isinstance(error, OSError):
                raise SandboxDown(f"no box could be started: {error}") from error
            raise
        return Started(id=box, wire=wire, user=user)

    async def _launch(self, program: Program, box: str, root: Root, group: Group) -> Wire:
        """Start the runtime; the pipe to the runner. Raises OSError."""
        near, far = socket.socketpair()
        try:
            near.setblocking(False)
            process = await self._start_in_thread(_run, program, self._home, box, root, far)
            self._running[box] = _Running(process=process, group=group, folder=self._home / box)
            reader, writer = await asyncio.open_unix_connection(sock=near, limit=STREAM_LIMIT)
        except BaseException:
            near.close()  # on this the box ends
            raise
        return Wire(reader, writer, mixed=False)

    async def _unmake(self, making: asyncio.Task[Started]) -> None:
        """Remove a box that nobody waits for any more, once it is made."""
        with suppress(RatchetError):
            started = await making
            await started.wire.close()
            await self.remove(started.id, started.user)

    def _prepare(self, order: Order, root: Root) -> tuple[str, int, Group]:
        """The name and the user id of a box whose bundle is written, and the group around it. Raises SandboxDown."""
        box, user, group = self._claim(order)
        try:
            self._write(box, replace(order, spec=replace(order.spec, user=user)), root)
        except BaseException as error:
            group.close()
            self._clear(box)
            if isinstance(error, OSError):
                raise SandboxDown(f"{self._home} cannot be written: {error.strerror}") from error
            raise
        return box, user, group

    def _claim(self, order: Order) -> tuple[str, int, Group]:
        """A name and a user id that no other box has, and the group around the box. Raises SandboxDown."""
        fixed, memory = order.spec.user, order.spec.memory_mb << 20
        for _ in range(TRIES):
            user = fixed or any_user(self.users)
            box = f"ratchet-{order.name}" if fixed else container_name(user)
            try:
                self._owner(box).symlink_to(owner_label(os.getpid()))
            except FileExistsError:
                continue
            except OSError as error:
                raise SandboxDown(f"{self._home} cannot be written: {error.strerror}") from error
            group = None
            try:
                group = self._groups.make(box, memory)
            finally:
                if group is None:  # our label on a box that is not there would keep it from every reaper
                    self._owner(box).unlink()
            if group is not None:
                return box, user, group
        raise SandboxDown("every user id that was tried belongs to another box")

    def _owner(self, box: str) -> Path:
        return self._home / f"{box}.owner"

    def _write(self, box: str, order: Order, root: Root) -> None:
        """The bundle of a box. Raises OSError."""
        folder = self._home / box
        (folder / "root").mkdir(parents=True)
        config = bundle(
            order.spec,
            options=options(order),
            image_env=root.env,
            folder=_given(order.folder),
            root=folder / "root",
            group=self._groups.path(box),
            memory=self._groups.inner_limit(order.spec.memory_mb << 20),
            cpus=float(os.cpu_count() or 1),
            machine=os.uname().machine,
            labels=labels(order.campaign, self._run_id, self._token),
        )
        (folder / "config.json").write_text(json.dumps(config))

    async def _start_in_thread(self, work: Any, *args: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._starter, work, *args)

    async def _end(self, box: str) -> None:
        """End a box and remove all of it. Raises SandboxDown if that cannot be done now."""
        running = self._running.get(box)
        if running is None:
            return
        await self._thread(_finish, self._groups, box, running.process)
        self._running.pop(box, None)
        await self._discard(box, running.group)

    async def _discard(self, box: str, group: Group) -> None:
        """Remove all that is left of a box that has ended."""
        with suppress(OSError):
            await self._start_in_thread(unmount, self._home / box / "root")
        group.close()
        await self._thread(self._clear, box)

    def _clear(self, box: str) -> None:
        """Remove groups, runtime's state and bundle; the link last, so that its owner is known until then."""
        self._groups.remove(box)
        shutil.rmtree(self._home / "state" / box, ignore_errors=True)
        shutil.rmtree(self._home / box, ignore_errors=True)
        with suppress(FileNotFoundError):
            self._owner(box).unlink()


def _run(program: Program, home: Path, box: str, root: Root, pipe: socket.socket) -> subprocess.Popen[bytes]:
    """Start the runtime's process, which lives as long as the box. The pipe's end is its own. Raises OSError."""
    folder = home / box
    argv = [str(program.path), "--root", str(home / "state"), "run", "--bundle", str(folder), box]
    with pipe, (folder / "stderr").open("wb") as stderr:
        lay(root.tree, home / "nothing", folder / "root")
        # In a session of its own: Ctrl-C is for us, and we end the boxes.
        return subprocess.Popen(
            argv,
            stdin=pipe.fileno(),
            stdout=pipe.fileno(),
            stderr=stderr,
            env={"PATH": os.defpath},
            start_new_session=True,
        )


def _finish(groups: Groups, box: str, process: subprocess.Popen[bytes]) -> None:
    """Wait for the box to end, which it does once its pipe is closed; kill it if it does not. Raises SandboxDown."""
    if not _ended(process, END_SECONDS):
        groups.kill(box)
        if not _ended(process, KILL_SECONDS):
            process.kill()
    process.wait()
    groups.kill(box)  # what a runtime that was itself killed has left


def _ended(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Whether a process ends within so many seconds; `wait` would look again and again for it."""
    if process.poll() is not None:
        return True
    try:
        held = os.pidfd_open(process.pid)
    except OSError:  # no descriptor is left, or another thread has just asked, too
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        return process.poll() is not None
    try:
        poll = select.poll()
        poll.register(held, select.POLLIN)
        return bool(poll.poll(1000 * seconds))
    finally:
        os.close(held)


def _labels(link: Path) -> dict[str, str]:
    """The labels of a box, as its owner's link and its bundle have them."""
    try:
        owner, made = os.readlink(link), link.lstat().st_mtime  # noqa: PTH115 - a label, not a path
    except OSError:
        return {"ratchet.owner": owner_label(os.getpid())}  # it has just been removed
    return {"ratchet.owner": owner, "ratchet.deadline": str(int(made) + BOX_LIFE_SECONDS)}


def _given(folder: Path | None) -> Path:
    if folder is None:
        raise ValueError("a box of this engine has a folder")
    return folder


def _text(path: Path) -> str:
    """The end of a short text in one line; empty if there is none."""
    try:
        return " ".join(path.read_text(errors="replace").split())[-300:]
    except OSError:
        return ""
