class Quota:
    def __init__(self, limit, today):
        self.limit, self.day, self.used = limit, today, 0

    def turn(self, today):
        if today != self.day:
            self.day, self.used = today, 0

    @property
    def left(self):
        return self.limit - self.used
