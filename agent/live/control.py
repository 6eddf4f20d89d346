"""What people do to a campaign from another shell: run it in the background, approve and reject patches."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from agent.base.children import python_module, with_our_code
from agent.base.errors import RecordBroken, UserError
from agent.base.owner import login
from agent.base.text import clean_line
from agent.config.campaign import Config
from agent.kernel.loop.approval import Approvals, Request, leave, refusal
from agent.kernel.loop.committing import Committer
from agent.kernel.loop.opening import open_ledger, open_repository
from agent.kernel.loop.tripwires import pass_tripwire
from agent.kernel.record.ledger import Ledger
from agent.kernel.record.lock import held, holder, named

LOG = "run.log"
ANSWER_SECONDS = 30.0
"""How long `decide` waits for the running campaign."""

_LOOK_SECONDS = 0.3
_SHOWN_BYTES = 4000


def detach(config: Config, path: Path, options: Sequence[str], console: Console) -> int:
    """Run a campaign in the background, in its own session; returns when it has begun or failed to begin.

    Raises:
        UserError: another process runs it, or its folder is not writable.
    """
    folder, fresh = config.folder, not config.folder.exists()
    if (pid := holder(folder)) is not None:
        raise UserError("name", f"{named(pid)} is running this campaign", "Wait for it, or `ratchet stop`.")
    before = _last_event(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / LOG).open("ab") as log:
            start = log.tell()
            process = subprocess.Popen(
                [*python_module("agent.cli"), "run", str(path), *options],
                env=with_our_code(os.environ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
    except OSError as error:
        problem = f"{folder} is not writable ({error.strerror})"
        raise UserError("runs", problem, "Name a folder that you may write to.") from error
    with console.status("starting; the first start builds the image of the boxes"):
        try:
            begun = _begun(process, folder, before)
        except KeyboardInterrupt:  # it is in a session of its own, which the terminal's Ctrl-C does not reach
            process.send_signal(signal.SIGINT)
            console.print(Text(f"asked process {process.pid} to end; log: {folder / LOG}"), soft_wrap=True)
            raise
    if not begun:
        with (folder / LOG).open("rb") as log:
            log.seek(start)
            console.print(Text(log.read()[-_SHOWN_BYTES:].decode(errors="replace").strip()))
        if fresh and process.returncode == 2:  # noqa: PLR2004 (a user error: nothing has begun)
            shutil.rmtree(folder, ignore_errors=True)
        return process.returncode
    console.print(Text(f"campaign {config.name} runs in the background as process {process.pid}"))
    where = shlex.join([str(path), *(["--name", config.name] if "--name" in options else [])])
    console.print(Text(f"log: {folder / LOG}\nnext: ratchet status {where}   ratchet stop {where}"), soft_wrap=True)
    return 0


def continue_past_tripwire(config: Config) -> None:
    """Write down that a person lets the campaign continue past the tripwire that stopped it.

    Raises:
        UserError: there is no such campaign, or another process runs it.
    """
    open_ledger(config).close()
    with held(config.folder), Ledger(config.folder / "ledger.sqlite") as ledger:
        pass_tripwire(ledger, login())


def _begun(process: subprocess.Popen[bytes], folder: Path, before: int) -> bool:
    """Wait until the campaign has passed its checks; False if it ended before that."""
    while process.poll() is None:
        if _last_event(folder, "begin") > before:
            return True
        time.sleep(_LOOK_SECONDS)
    return process.returncode == 0


def _last_event(folder: Path, kind: str | None = None) -> int:
    """The number of the last event (of a kind) in a campaign's ledger; 0 without one."""
    file = folder / "ledger.sqlite"
    if not file.exists():
        return 0
    try:
        with Ledger(file, read_only=True) as ledger:
            return max((number for number, _, what, _ in ledger.events() if kind in (None, what)), default=0)
    except RecordBroken:  # being created
        return 0


# ------------------------------------------------------------------------------------ approve, reject


def decide(config: Config, request: Request, *, patience: float = ANSWER_SECONDS) -> str:
    """Carry out a person's decision about a waiting patch, or have the running campaign do it; returns the result.

    Raises:
        UserError: the candidate is not waiting, or its branch cannot be moved.
    """
    with open_ledger(config) as ledger:
        _check(ledger, request)
    if holder(config.folder) is not None:
        file = leave(config.folder, request)
        end = time.monotonic() + patience
        while file.exists() and holder(config.folder) is not None and time.monotonic() < end:
            time.sleep(_LOOK_SECONDS)
        if file.exists() and (pid := holder(config.folder)) is not None:
            return f"left for {named(pid)}, which carries it out after the verdict in progress"
        if not file.exists():
            with open_ledger(config) as ledger:
                return _answer(ledger, request)
        file.unlink(missing_ok=True)
    with held(config.folder), Ledger(config.folder / "ledger.sqlite") as ledger:
        repository = open_repository(config, ledger)
        repository.claim()
        repository.reconcile([row.move for row in ledger.commits()], len(ledger.candidates()))
        Committer(ledger, repository, Approvals(ledger), ledger.set_fate).decide(request)
        return _answer(ledger, request)


def _check(ledger: Ledger, request: Request) -> None:
    champion, approvals = ledger.champion(), Approvals(ledger)
    problem = refusal(approvals.get(request.candidate), request, champion)
    if problem is not None:
        waiting = ", ".join(f"#{one.candidate}" for one in approvals.waiting(champion)) or "none"
        raise UserError("candidate", problem, f"Waiting now: {waiting}.")


def _answer(ledger: Ledger, request: Request) -> str:
    entry = Approvals(ledger).get(request.candidate)
    if entry is not None and entry.outcome == "approved":
        sha = next(row.sha for row in ledger.commits() if row.candidate == request.candidate)
        return f"#{request.candidate} is champion ({sha[:10]})"
    if entry is not None and entry.outcome == "rejected":
        return f"#{request.candidate} is rejected"
    said = [text for _, _, kind, text in ledger.events() if kind == "request"]
    raise UserError(
        "candidate", clean_line(said[-1]) if said else "the decision was not carried out", "See `ratchet status`."
    )
