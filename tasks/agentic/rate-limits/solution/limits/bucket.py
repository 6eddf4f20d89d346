class Bucket:
    def __init__(self, rate, burst, now):
        self.rate, self.burst = rate, burst
        self.tokens, self.stamp = float(burst), now

    def fill(self, now):
        if now > self.stamp:
            self.tokens = min(float(self.burst), self.tokens + (now - self.stamp) * self.rate)
        self.stamp = now

    def has(self, cost):
        # Sums of fractions may fall short of a whole token by a rounding error.
        return self.tokens >= cost - 1e-9

    def take(self, cost):
        self.tokens = max(0.0, self.tokens - cost)
