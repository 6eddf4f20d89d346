import time
from datetime import date

from limits.bucket import Bucket
from limits.quota import Quota


class Limiter:
    def __init__(self, rate, burst, quota, clock=time.monotonic, calendar=date.today):
        self.rate, self.burst, self.quota = rate, burst, quota
        self.clock, self.calendar = clock, calendar
        self._callers = {}

    def _of(self, caller):
        if caller not in self._callers:
            self._callers[caller] = (Bucket(self.rate, self.burst, self.clock()), Quota(self.quota, self.calendar()))
        return self._callers[caller]

    def allow(self, caller, cost=1):
        bucket, quota = self._of(caller)
        return quota.take(self.calendar()) and bucket.take(cost, self.clock())

    def wait(self, caller, cost=1):
        bucket, quota = self._of(caller)
        return max(0.0, (cost - bucket.tokens) / self.rate)

    def remaining(self, caller):
        bucket, quota = self._of(caller)
        return bucket.tokens, quota.limit - quota.used

    def __len__(self):
        return len(self._callers)
