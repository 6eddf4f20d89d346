import asyncio


class Failed(Exception):
    """Some jobs failed; `errors` maps the number of a job to its exception."""

    def __init__(self, errors):
        super().__init__(f"{len(errors)} jobs failed")
        self.errors = errors


async def end(tasks):
    """Cancel tasks and wait for all of them, whoever cancels us meanwhile."""
    cancelled = None
    for task in tasks:
        task.cancel()
    while waiting := [task for task in tasks if not task.done()]:
        try:
            await asyncio.wait(waiting)
        except asyncio.CancelledError as error:
            cancelled = error
    for task in tasks:
        if not task.cancelled():
            task.exception()
    if cancelled:
        raise cancelled


async def outcome(job):
    """(result, None) or (None, exception); a cancellation from outside is told apart by who is cancelled."""
    try:
        return await job(), None
    except asyncio.CancelledError as error:
        if asyncio.current_task().cancelling():
            raise
        return None, error
    except Exception as error:
        return None, error


async def run_all(jobs, limit, *, stop_early=False):
    """The results of jobs (functions without arguments that give awaitables; any iterable, read only as far as needed) in their order.

    At most `limit` run at a time (below 1: ValueError), each begins as soon as there is room, in order. If jobs fail, the others go on, then Failed is raised; with `stop_early` the first failure cancels the others, no more begin,
    and it is itself raised. A job that raises CancelledError of its own has failed like any other. If the iterable raises, the jobs under way are cancelled and that exception is raised.
    """
    if limit < 1:
        raise ValueError("limit must be 1 or more")
    source, running, results, errors, more = iter(jobs), {}, {}, {}, True
    try:
        while more or running:
            while more and len(running) < limit:
                try:
                    job = next(source)
                except StopIteration:
                    more = False
                else:
                    number = len(results) + len(errors) + len(running)
                    running[asyncio.create_task(outcome(job))] = number
            if not running:
                break
            done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in sorted(done, key=running.get):
                number = running.pop(task)
                result, error = task.result()
                if error is None:
                    results[number] = result
                    continue
                errors[number] = error
                if stop_early:
                    raise error
    finally:
        await end(list(running))
    if errors:
        raise Failed(dict(sorted(errors.items())))
    return [results[number] for number in range(len(results))]
