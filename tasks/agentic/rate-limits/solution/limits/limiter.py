import math
import time
from datetime import date

from limits.bucket import Bucket
from limits.quota import Quota


class Limiter:
    def __init__(self, rate, burst, quota, clock=time.monotonic, calendar=date.today):
        self.rate, self.burst, self.quota = rate, burst, quota
        self.clock, self.calendar = clock, calendar
        self._callers = {}

    def _now(self, caller):
        """The caller's bucket and quota as of now; new ones are not remembered."""
        now, today = self.clock(), self.calendar()
        bucket, quota = self._callers.get(caller) or (Bucket(self.rate, self.burst, now), Quota(self.quota, today))
        bucket.fill(now)
        quota.turn(today)
        return bucket, quota

    def _check(self, cost):
        if not 0 < cost <= self.burst:
            raise ValueError(f"cost {cost} is not between 0 and {self.burst}")

    def allow(self, caller, cost=1):
        self._check(cost)
        bucket, quota = self._now(caller)
        passed = quota.left > 0 and bucket.has(cost)
        if passed:
            bucket.take(cost)
            quota.used += 1
            self._callers[caller] = bucket, quota
        self._forget()
        return passed

    def _forget(self):
        for caller in list(self._callers):
            bucket, quota = self._now(caller)
            if bucket.tokens >= self.burst and not quota.used:
                del self._callers[caller]

    def wait(self, caller, cost=1):
        self._check(cost)
        bucket, quota = self._now(caller)
        if quota.left <= 0:
            return None
        return 0.0 if bucket.has(cost) else (cost - bucket.tokens) / self.rate

    def remaining(self, caller):
        bucket, quota = self._now(caller)
        return math.floor(bucket.tokens + 1e-9), quota.left

    def __len__(self):
        return len(self._callers)
