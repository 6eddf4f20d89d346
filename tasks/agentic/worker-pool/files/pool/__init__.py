"""Bounded concurrency for asyncio.

In everything here: a task that is cancelled stops what it has started, waits for it to end, and then raises CancelledError; it never swallows a cancellation. When a function has returned or raised, no task that it has started
is left running. Exceptions are the original objects.
"""

from pool.gather import Failed, run_all
from pool.pool import Closed, Pool
from pool.retry import retry

__all__ = ["Closed", "Failed", "Pool", "retry", "run_all"]
