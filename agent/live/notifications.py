"""Notifies a program or a web address of events of a campaign: a commit, a pause, the end.

It reads the ledger's events independently of the campaign; failures here are logged as events and change nothing else.
An event is sent at least once: if a run is killed before it could send one, the next run sends it.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from urllib.parse import urlsplit

from agent.base.errors import RatchetError
from agent.base.text import clean_line
from agent.config.campaign import Config
from agent.kernel.record.ledger import Ledger

POLL_SECONDS, MOST_SECONDS = 1.0, 30.0
"""Seconds between two reads of the ledger; the most seconds that one notification may take."""

_KINDS = {
    "commit": "commit", "approval": "waiting", "tripwire": "tripwire", "pause": "paused", "resume": "resumed",
    "stall": "stalled", "warning": "warning", "end": "end",
}  # fmt: skip
_SENT = "notified"


class Notifier:
    """Sends events that happen from now on, or since the last one that an earlier run sent.

    `hint` completes a command to paste.

    Raises:
        UserError: the variable that should hold the address is not set.
    """

    def __init__(self, config: Config, ledger: Ledger, hint: Callable[[str], str]) -> None:
        self._hint = hint
        self._campaign, self._config, self._ledger = config.name, config.notify, ledger
        self._address = config.notify.address
        self._wanted = {_KINDS[name]: name for name in config.notify.events}
        self._secret = {model.key_env for model in config.models.all() if model.key_env}
        sent = ledger.recollect(_SENT)
        self._sent = max((number for number, *_ in ledger.events()), default=0) if sent is None else int(sent)
        self._paused = False
        self._over = asyncio.Event()

    async def run(self) -> None:
        """Send events until `end` is called; the last ones are sent before it returns."""
        while not self._over.is_set():
            await self._catch_up()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), POLL_SECONDS)
        await self._catch_up()

    def end(self) -> None:
        """The campaign is over. Not a cancellation: an event in transit would be sent twice."""
        self._over.set()

    async def _catch_up(self) -> None:
        with suppress(RatchetError):  # the campaign itself reports a failing ledger
            for number, at, kind, text in self._ledger.events(after=self._sent):
                if kind in self._wanted and not (kind == "paused" and self._paused):
                    event = {"campaign": self._campaign, "event": self._wanted[kind], "text": clean_line(text)}
                    await self._send({**event, **self._next(kind, text), "id": number, "at": round(at, 3)})
                # An outage pauses the campaign repeatedly: that is one pause.
                self._paused = kind == "paused" or (self._paused and kind not in {"resumed", "end"})
                self._sent = number
                if kind in self._wanted:
                    self._ledger.remember(_SENT, number)

    def _next(self, kind: str, text: str) -> dict[str, list[str]]:
        """What a person can do about an event: commands to paste, for a patch that waits."""
        number = re.match(r"#(\d+)", text)
        if kind != _KINDS["approval"] or number is None:
            return {}
        return {"commands": [self._hint(f"{verb} {number[1]}") for verb in ("show", "approve", "reject")]}

    async def _send(self, event: Mapping[str, object]) -> None:
        body = json.dumps(event).encode()
        for name, failure in (("command", await self._call(body, event)), ("webhook", await self._post(body))):
            if failure is not None:
                self._ledger.note("notify", f"{name} failed for {event['event']!r}: {clean_line(failure)}")

    async def _call(self, body: bytes, event: Mapping[str, object]) -> str | None:
        """Run the command; returns what went wrong."""
        if not self._config.command:
            return None
        env = {name: value for name, value in os.environ.items() if name not in self._secret}
        env |= {"RATCHET_EVENT": body.decode(), "RATCHET_KIND": str(event["event"])}
        null = asyncio.subprocess.DEVNULL
        try:
            process = await asyncio.create_subprocess_exec(
                *self._config.command, stdin=asyncio.subprocess.PIPE, stdout=null, stderr=null, env=env,
                start_new_session=True,
            )  # fmt: skip
        except (OSError, ValueError) as error:
            return f"{self._config.command[0]} cannot be started ({error})"
        try:
            async with asyncio.timeout(MOST_SECONDS):
                await process.communicate(body)
        except TimeoutError:
            return f"it took longer than {MOST_SECONDS:.0f} s"
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        return None if process.returncode == 0 else f"exit code {process.returncode}"

    async def _post(self, body: bytes) -> str | None:
        if self._address is None:
            return None
        try:
            await asyncio.to_thread(_send, self._address, body)
        except (OSError, ValueError) as error:
            # The address is often a secret: name only its host.
            return f"{urlsplit(self._address).hostname}: {type(error).__name__}"
        return None


def _send(address: str, body: bytes) -> None:
    headers = {"content-type": "application/json", "user-agent": "ratchet"}
    request = urllib.request.Request(address, data=body, headers=headers, method="POST")  # noqa: S310 (http only, checked)
    with urllib.request.urlopen(request, timeout=MOST_SECONDS):  # noqa: S310 (http only, checked)
        pass
