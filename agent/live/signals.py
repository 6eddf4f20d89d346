"""Ctrl-C and `ratchet stop`, as a running campaign hears them."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

from agent.kernel.loop.campaign import Campaign


def stop_on_signals(campaign: Campaign, say: Callable[[str], object]) -> Callable[[], bool]:
    """Stop after the work in flight at the first SIGINT or SIGTERM, and at once at the second.

    Returns a function that says whether one of them was Ctrl-C (SIGINT).
    """
    loop, main = asyncio.get_running_loop(), asyncio.current_task()
    interrupts: list[str] = []

    def end(why: str) -> None:
        if campaign.stopping is None:
            campaign.stop(why)
            say(f"{campaign.in_flight()}; once more stops now")
        elif main is not None:
            main.cancel()

    def interrupt() -> None:
        interrupts.append("Ctrl-C")
        end("interrupted by Ctrl-C")

    loop.add_signal_handler(signal.SIGINT, interrupt)
    loop.add_signal_handler(signal.SIGTERM, end, "stopped on request")
    return lambda: bool(interrupts)
