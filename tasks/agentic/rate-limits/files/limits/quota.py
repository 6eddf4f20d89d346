class Quota:
    def __init__(self, limit, today):
        self.limit, self.day, self.used = limit, today, 0

    def take(self, today):
        if today != self.day:
            self.used = 0
        if self.used >= self.limit:
            return False
        self.used += 1
        return True
