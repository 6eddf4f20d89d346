"""Wait for several trials."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import TypeVar

Result = TypeVar("Result")


async def all_of(work: Sequence[Coroutine[object, object, Result]]) -> list[Result]:
    """Every result, in order; the first error cancels the rest."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
