class Bucket:
    def __init__(self, rate, burst, now):
        self.rate, self.burst = rate, burst
        self.tokens, self.stamp = burst, now

    def fill(self, now):
        self.tokens += int((now - self.stamp) * self.rate)
        self.stamp = now

    def take(self, cost, now):
        self.fill(now)
        if self.tokens > cost:
            self.tokens -= cost
            return True
        return False
