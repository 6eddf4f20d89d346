import asyncio
from collections import deque

from pool.gather import end, outcome


class Closed(Exception):
    """The pool takes no more jobs."""


class Pool:
    """Workers that run jobs from a queue. Use it as `async with Pool(workers, waiting) as pool`.

    `await pool.submit(job)` gives a future with the result of the job; it waits while `waiting` jobs wait for a worker. If it is cancelled while it waits, the job is not taken. Cancelling the future cancels the job if it runs, and takes it out of the queue (at once: there is room again) if it waits.
    A job that fails, or raises CancelledError, ends its future so, and nothing else; exceptions that nobody asks for make no noise.

    `await pool.drain()` waits until no job waits or runs. `await pool.close()` takes no more jobs (submit raises Closed, also those that wait for room), waits for all that were taken, and ends the workers; with `cancel=True` it cancels what waits and
    runs instead. It may be called many times and by several tasks. Leaving `async with` closes it, with `cancel=True` if an exception leaves the block.
    """

    def __init__(self, workers, waiting=0):
        self._limit, self._waiting = workers, waiting
        self._queue, self._running = deque(), {}  # (job, future); future -> task
        self._turns, self._ended = deque(), deque()
        self._closed = False

    async def __aenter__(self):
        return self

    async def __aexit__(self, kind, error, trace):
        await self.close(cancel=kind is not None)

    def _room(self):
        return len(self._running) < self._limit or not self._waiting or len(self._queue) < self._waiting

    async def submit(self, job):
        while not self._closed and (self._turns or not self._room()):
            turn = asyncio.get_running_loop().create_future()
            self._turns.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if turn in self._turns:
                    self._turns.remove(turn)
                self._next()
                raise
            if self._closed or self._room():
                break
        if self._closed:
            raise Closed
        future = asyncio.get_running_loop().create_future()
        future.add_done_callback(self._settled)
        self._queue.append((job, future))
        self._next()
        return future

    def _next(self):
        """Begin what can begin, let in who waits, and wake who waits for the end."""
        while self._queue and len(self._running) < self._limit:
            job, future = self._queue.popleft()
            if not future.done():
                self._running[future] = task = asyncio.create_task(outcome(job))
                task.add_done_callback(lambda task, future=future: self._finished(task, future))
        while self._turns and (self._closed or self._room()):
            turn = self._turns.popleft()
            if not turn.done():
                turn.set_result(None)
                if not self._closed:
                    break
        if not self._queue and not self._running:
            while self._ended:
                waiter = self._ended.popleft()
                if not waiter.done():
                    waiter.set_result(None)

    def _finished(self, task, future):
        del self._running[future]
        if not future.done():
            result, error = (None, asyncio.CancelledError()) if task.cancelled() else task.result()
            if error is None:
                future.set_result(result)
            elif isinstance(error, asyncio.CancelledError):
                future.cancel()
            else:
                future.set_exception(error)
                future.exception()
        self._next()

    def _settled(self, future):
        """A future is done; if it was cancelled from outside, so is its job."""
        if future.cancelled():
            if future in self._running:
                self._running[future].cancel()
            else:
                self._queue = deque(item for item in self._queue if item[1] is not future)
                self._next()

    async def drain(self):
        while self._queue or self._running:
            waiter = asyncio.get_running_loop().create_future()
            self._ended.append(waiter)
            await waiter

    async def close(self, cancel=False):
        self._closed = True
        self._next()
        if cancel:
            self._cancel()
        try:
            await self.drain()
        except asyncio.CancelledError:
            self._cancel()
            await end(list(self._running.values()))
            raise

    def _cancel(self):
        waiting, self._queue = self._queue, deque()
        for _, future in waiting:
            future.cancel()
        for task in self._running.values():
            task.cancel()
        self._next()
