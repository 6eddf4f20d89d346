from pathlib import Path

from ratchet_check import remote

DRIVER = '''
import asyncio, gc, itertools
from pool import Closed, Failed, Pool, retry, run_all

class Log:
    def __init__(self): self.said, self.now, self.most, self.noise = [], 0, 0, []
    def job(self, name, ticks=1, error=None, stubborn=0):
        async def run():
            self.now += 1; self.most = max(self.most, self.now)
            try:
                self.said.append("+" + str(name))
                for _ in range(ticks): await asyncio.sleep(0.01)
                if error: raise error
                self.said.append("-" + str(name))
                return name
            except asyncio.CancelledError:
                for _ in range(stubborn): await asyncio.sleep(0.01)
                self.said.append("x" + str(name))
                raise
            finally: self.now -= 1
        return run

def play(name):
    log = Log()
    async def main():
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: log.noise.append(context["message"]))
        got = await asyncio.wait_for(globals()[name](log), 8)
        left = len(asyncio.all_tasks()) - 1
        gc.collect(); await asyncio.sleep(0)
        return [got, left, log.noise]
    return asyncio.run(main())

async def caught(awaitable):
    try: return await awaitable
    except BaseException as error: return type(error).__name__

async def ordered(log):
    got = await run_all([log.job(n, 6 - n) for n in range(6)], 2)
    return [got, log.most, log.said[:3]]

async def lazily(log):
    taken = []
    def source():
        for n in itertools.count():
            taken.append(n); yield log.job(n, 1, ValueError() if n == 3 else None)
    return [await caught(run_all(source(), 2, stop_early=True)), len(taken) <= 6]

async def failures(log):
    errors = [ValueError("a"), asyncio.CancelledError(), KeyError("b")]
    jobs = [log.job(0), log.job(1, 3, errors[0]), log.job(2, 1, errors[1]), log.job(3, 2, errors[2]), log.job(4)]
    try: await run_all(jobs, 3)
    except Failed as failed: return [sorted(failed.errors), [failed.errors[n] is e for n, e in zip((1, 3), (errors[0], errors[2]))], type(failed.errors[2]).__name__, "-4" in log.said]

async def early(log):
    error = ValueError("a")
    try: await run_all([log.job(0, 50, None, 2), log.job(1, 1, error), log.job(2), log.job(3)], 2, stop_early=True)
    except ValueError as got: return [got is error, log.said, log.now]

async def early_cancelled(log):
    return await caught(run_all([log.job(0, 1, asyncio.CancelledError()), log.job(1, 99)], 2, stop_early=True)), log.now

async def outside(log):
    task = asyncio.create_task(run_all([log.job(n, 99, None, 3) for n in range(5)], 2))
    await asyncio.sleep(0.03); task.cancel()
    return [await caught(task), log.said, log.now]

async def bad_source(log):
    def source():
        yield log.job(0, 99); yield log.job(1, 99); raise KeyError("source")
    return [await caught(run_all(source(), 5)), log.said, log.now]

async def limits(log):
    return [await caught(run_all([log.job(0)], 0)), await caught(retry(log.job(0), 0)), log.said, await run_all([], 3)]

async def tries(log):
    left, errors, times = [3], [], []
    def job():
        times.append(asyncio.get_running_loop().time()); left[0] -= 1
        errors.append(ValueError(left[0])); return log.job(0, 1, errors[-1] if left[0] >= 0 else None)()
    got = await retry(job, 5, delay=0.05)
    gaps = [b - a for a, b in zip(times, times[1:])]
    return [got, len(times), gaps[0] >= 0.05 and gaps[1] >= 0.1 and gaps[2] >= 0.2]

async def last_try(log):
    errors = []
    def job(): errors.append(ValueError()); return log.job(0, 1, errors[-1])()
    start = asyncio.get_running_loop().time()
    try: await retry(job, 2, delay=0.4)
    except ValueError as error: return [error is errors[-1], len(errors), asyncio.get_running_loop().time() - start < 1.1]

async def other_kinds(log):
    return [await caught(retry(log.job(0, 1, KeyError()), 5, on=(ValueError,))), await caught(retry(log.job(1, 1, asyncio.CancelledError()), 5)), log.said]

async def slow_try(log):
    return [await caught(retry(log.job(0, 99, None, 2), 2, timeout=0.03)), log.said, log.now, await caught(retry(log.job(1, 99), 2, timeout=0.03, on=(KeyError,))), log.said[4:]]

async def retry_outside(log):
    task = asyncio.create_task(retry(log.job(0, 99, None, 2), 5, timeout=9)); await asyncio.sleep(0.03); task.cancel()
    first = await caught(task)
    task = asyncio.create_task(retry(log.job(1, 0, ValueError()), 5, delay=9)); await asyncio.sleep(0.03); task.cancel()
    return [first, await caught(task), log.said, log.now]

async def pool_results(log):
    async with Pool(2) as pool:
        futures = [await pool.submit(log.job(n, 3 - n)) for n in range(3)]
        bad = [await pool.submit(log.job(9, 1, ValueError())), await pool.submit(log.job(8, 1, asyncio.CancelledError())), await pool.submit(log.job(7))]
        return [[await f for f in futures], [await caught(f) for f in bad], log.most]

async def quiet(log):
    async with Pool(1) as pool:
        await pool.submit(log.job(0, 1, ValueError())); await pool.submit(log.job(1))
    return log.said

async def room(log):
    async with Pool(1, 2) as pool:
        futures = [await pool.submit(log.job(n, 5)) for n in range(3)]
        blocked = asyncio.create_task(pool.submit(log.job(3))); await asyncio.sleep(0.02)
        was = blocked.done()
        futures[1].cancel(); await asyncio.sleep(0.005)
        now = blocked.done() and log.said == ["+0"]
        await pool.drain()
        return [was, now, log.said]

async def not_taken(log):
    async with Pool(1, 1) as pool:
        for n in range(2): await pool.submit(log.job(n, 4))
        blocked = asyncio.create_task(pool.submit(log.job(2))); other = asyncio.create_task(pool.submit(log.job(3)))
        await asyncio.sleep(0.01); blocked.cancel()
        said = await caught(blocked)
        await (await other)
        return [said, log.said]

async def cancel_running(log):
    async with Pool(1) as pool:
        future, other = await pool.submit(log.job(0, 99, None, 2)), await pool.submit(log.job(1))
        await asyncio.sleep(0.02); future.cancel()
        return [await caught(future), await other, log.said]

async def closing(log):
    pool = Pool(1, 1)
    futures = [await pool.submit(log.job(n, 2)) for n in range(2)]
    blocked = asyncio.create_task(pool.submit(log.job(2))); await asyncio.sleep(0)
    closers = [asyncio.create_task(pool.close()) for _ in range(2)]
    await asyncio.gather(*closers); await pool.close(); await pool.close(cancel=True)
    return [await caught(blocked), [f.done() and f.result() for f in futures], await caught(pool.submit(log.job(3))), log.said]

async def closing_hard(log):
    pool = Pool(1)
    futures = [await pool.submit(log.job(n, 99, None, 2)) for n in range(3)]
    await asyncio.sleep(0.02); slow = asyncio.create_task(pool.close()); await asyncio.sleep(0.02)
    await pool.close(cancel=True); await slow
    return [[f.cancelled() for f in futures], log.said, log.now]

async def leaving(log):
    try:
        async with Pool(1) as pool:
            future = await pool.submit(log.job(0, 99)); await asyncio.sleep(0.02); raise KeyError
    except KeyError: return [future.cancelled(), log.said, log.now]

async def empty(log):
    async with Pool(3) as pool: await pool.drain()
    return "ok"

async def close_cancelled(log):
    pool = Pool(1)
    future = await pool.submit(log.job(0, 99, None, 3)); await asyncio.sleep(0.02)
    task = asyncio.create_task(pool.close()); await asyncio.sleep(0.02); task.cancel()
    return [await caught(task), log.said, log.now]
'''
Path("/tmp/driver.py").write_text(DRIVER)
remote_play = remote("/tmp/driver.py", "play", seconds=20)


def play(name):
    got, left, noise = remote_play(name)
    assert (left, noise) == (0, []), (name, left, noise)
    return got


def test_results_come_in_order():
    assert play("ordered") == [[0, 1, 2, 3, 4, 5], 2, ["+0", "+1", "-1"]]


def test_jobs_are_read_as_far_as_needed():
    assert play("lazily") == ["ValueError", True]


def test_failures_are_collected():
    assert play("failures") == [[1, 2, 3], [True, True], "CancelledError", True]


def test_stopping_early():
    assert play("early") == [True, ["+0", "+1", "x0"], 0]
    assert play("early_cancelled") == ("CancelledError", 0)


def test_cancelled_from_outside():
    assert play("outside") == ["CancelledError", ["+0", "+1", "x0", "x1"], 0]


def test_a_source_that_fails():
    got = play("bad_source")
    assert (got[0], got[2]) == ("KeyError", 0) and "-0" not in got[1]


def test_limits():
    assert play("limits") == ["ValueError", "ValueError", [], []]


def test_tries_and_their_delays():
    assert play("tries") == [0, 4, True] and play("last_try") == [True, 2, True]


def test_kinds_that_are_not_tried_again():
    assert play("other_kinds") == ["KeyError", "CancelledError", ["+0", "+1", "x1"]]


def test_a_try_that_takes_too_long():
    assert play("slow_try") == ["TimeoutError", ["+0", "x0", "+0", "x0", "+1", "x1"], 0, "TimeoutError", ["+1", "x1"]]


def test_retry_is_cancelled():
    assert play("retry_outside") == ["CancelledError", "CancelledError", ["+0", "x0", "+1"], 0]


def test_a_pool():
    assert play("pool_results") == [[0, 1, 2], ["ValueError", "CancelledError", 7], 2] and play("quiet") == ["+0", "+1", "-1"] and play("empty") == "ok"


def test_room():
    assert play("room") == [False, True, ["+0", "-0", "+2", "-2", "+3", "-3"]]


def test_a_cancelled_submit_is_not_taken():
    assert play("not_taken") == ["CancelledError", ["+0", "-0", "+1", "-1", "+3", "-3"]]


def test_a_cancelled_future():
    assert play("cancel_running") == ["CancelledError", 1, ["+0", "x0", "+1", "-1"]]


def test_closing():
    assert play("closing") == ["Closed", [0, 1], "Closed", ["+0", "-0", "+1", "-1"]]


def test_closing_hard():
    assert play("closing_hard") == [[True, True, True], ["+0", "x0"], 0] and play("leaving") == [True, ["+0", "x0"], 0]


def test_a_cancelled_close_ends_what_runs():
    assert play("close_cancelled") == ["CancelledError", ["+0", "x0"], 0]
