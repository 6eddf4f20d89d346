import asyncio


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
        self._queue = asyncio.Queue(waiting)
        self._workers = [asyncio.create_task(self._work()) for _ in range(workers)]
        self._closed = False

    async def __aenter__(self):
        return self

    async def __aexit__(self, kind, error, trace):
        await self.close()

    async def submit(self, job):
        if self._closed:
            raise Closed
        future = asyncio.get_running_loop().create_future()
        await self._queue.put((job, future))
        return future

    async def _work(self):
        while True:
            job, future = await self._queue.get()
            future.set_result(await job())
            self._queue.task_done()

    async def drain(self):
        await self._queue.join()

    async def close(self, cancel=False):
        self._closed = True
        if not cancel:
            await self.drain()
        for worker in self._workers:
            worker.cancel()
