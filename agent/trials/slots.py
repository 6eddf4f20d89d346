"""How many trials run at a time; the limit can change while some are running."""

from __future__ import annotations

import asyncio
from collections import deque


class Slots:
    """At most `limit` holders at a time. Lowering the limit ends nothing: it holds for those that come next."""

    def __init__(self, limit: int) -> None:
        self._limit, self._taken = limit, 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def limit(self) -> int:
        """The most holders at a time."""
        return self._limit

    @limit.setter
    def limit(self, limit: int) -> None:
        self._limit = limit
        self._wake()

    async def __aenter__(self) -> None:
        while self._taken >= self._limit:
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                await turn
            finally:
                self._waiting.remove(turn)
        self._taken += 1

    async def __aexit__(self, *_: object) -> None:
        self._taken -= 1
        self._wake()

    def _wake(self) -> None:
        """Let every waiter look again, in the order in which they came."""
        for turn in self._waiting:
            if not turn.done():
                turn.set_result(None)
