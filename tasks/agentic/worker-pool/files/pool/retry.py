import asyncio


async def retry(job, attempts, *, delay=0.0, timeout=None, on=(Exception,)):
    """The result of `await job()`, tried up to `attempts` times (below 1: ValueError).

    Only exceptions of the kinds `on` lead to another try, after `delay` seconds, then twice that, and so on; any other, and that of the last try, is raised as it is. `timeout` is for one try: one that takes longer is cancelled, and counts as
    TimeoutError. There is no delay after the last try.
    """
    for attempt in range(attempts):
        try:
            return await asyncio.wait_for(job(), timeout)
        except BaseException:
            await asyncio.sleep(delay * 2 * attempt)
