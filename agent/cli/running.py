"""What `ratchet run` does: one campaign in this process, to its end."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from agent.base.errors import UserError
from agent.base.owner import login
from agent.base.trust import trusted_hash
from agent.cli.options import git_in
from agent.config.campaign import Config
from agent.config.record import recorded
from agent.kernel.loop.campaign import Campaign
from agent.kernel.record.ledger import Ledger
from agent.kernel.record.lock import held
from agent.kernel.record.running import listed
from agent.live.notifications import Notifier
from agent.live.panel import watch
from agent.live.signals import stop_on_signals
from agent.review.audit.decisions import CONFIGURATION, KERNEL, STARTED_BY
from agent.review.summary import summarise
from agent.review.terminal.summary import print_summary
from agent.wiring.campaign import campaign_parts

Hint = Callable[[str], str]
"""Completes a command, so that it can be pasted."""


def run_campaign(config: Config, hint: Hint, far_hint: Hint, console: Console) -> int:
    """Run a campaign to its end and print its summary; returns the exit code.

    `hint` is for this terminal, `far_hint` for any other folder: what a notification names.
    """
    folder = config.folder
    file = folder / "ledger.sqlite"
    with _no_folder_after_a_failed_start(folder), held(folder), listed(folder), Ledger(file) as ledger:
        ledger.mirror_to(folder)
        try:
            code = asyncio.run(_campaign(config, ledger, far_hint, console))
        except asyncio.CancelledError:
            console.print("stopped at once; run the same command again to resume")
            return 130
        git = git_in(config.scaffold.repo)
        print_summary(summarise(ledger), name=config.name, hint=hint, console=console, git=git)
    return code


@contextmanager
def _no_folder_after_a_failed_start(folder: Path) -> Iterator[None]:
    existed = folder.exists()
    try:
        yield
    except UserError:
        if not existed:
            shutil.rmtree(folder, ignore_errors=True)
        raise


async def _campaign(config: Config, ledger: Ledger, hint: Hint, console: Console) -> int:
    notifier = Notifier(config, ledger, hint)
    async with campaign_parts(config, ledger, console) as parts:
        campaign = Campaign(parts)
        interrupted = stop_on_signals(campaign, console.print)
        ledger.remember(STARTED_BY, login())
        ledger.remember(KERNEL, trusted_hash())
        ledger.remember(CONFIGURATION, recorded(config))
        ledger.note("begin", f"process {os.getpid()} runs the campaign")
        view, notifying = asyncio.create_task(watch(campaign, console)), asyncio.create_task(notifier.run())
        try:
            await campaign.run()
        finally:
            view.cancel()
            notifier.end()
            await asyncio.gather(view, notifying, return_exceptions=True)
    return 130 if interrupted() else 0
