import asyncio

from pool.gather import end, outcome


async def retry(job, attempts, *, delay=0.0, timeout=None, on=(Exception,)):
    """The result of `await job()`, tried up to `attempts` times (below 1: ValueError).

    Only exceptions of the kinds `on` lead to another try, after `delay` seconds, then twice that, and so on; any other, and that of the last try, is raised as it is. `timeout` is for one try: one that takes longer is cancelled, and counts as
    TimeoutError. There is no delay after the last try.
    """
    if attempts < 1:
        raise ValueError("attempts must be 1 or more")
    for attempt in range(attempts):
        result, error = await _attempt(job, timeout)
        if error is None:
            return result
        if attempt == attempts - 1 or not isinstance(error, tuple(on)):
            raise error
        await asyncio.sleep(delay * 2**attempt)
    return None


async def _attempt(job, timeout):
    task = asyncio.create_task(outcome(job))
    try:
        await asyncio.wait([task], timeout=timeout)
        if task.done():
            return task.result()
    finally:
        if not task.done():
            await end([task])
    return None, TimeoutError(f"no result after {timeout} seconds")
