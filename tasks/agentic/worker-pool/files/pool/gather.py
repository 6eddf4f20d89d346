import asyncio


class Failed(Exception):
    """Some jobs failed; `errors` maps the number of a job to its exception."""

    def __init__(self, errors):
        super().__init__(f"{len(errors)} jobs failed")
        self.errors = errors


async def run_all(jobs, limit, *, stop_early=False):
    """The results of jobs (functions without arguments that give awaitables; any iterable, read only as far as needed) in their order.

    At most `limit` run at a time (below 1: ValueError), each begins as soon as there is room, in order. If jobs fail, the others go on, then Failed is raised; with `stop_early` the first failure cancels the others, no more begin,
    and it is itself raised. A job that raises CancelledError of its own has failed like any other. If the iterable raises, the jobs under way are cancelled and that exception is raised.
    """
    gate = asyncio.Semaphore(limit)

    async def one(job):
        async with gate:
            return await job()

    results = await asyncio.gather(*[one(job) for job in jobs], return_exceptions=not stop_early)
    errors = {n: r for n, r in enumerate(results) if isinstance(r, Exception)}
    if errors:
        raise Failed(errors)
    return results
