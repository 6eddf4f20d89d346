from dataclasses import dataclass, field
from datetime import date

from agenda.expand import expand

UNITS = ("day", "week", "month", "year")


@dataclass
class Rule:
    start: date
    every: str
    step: int = 1
    until: date | None = None
    count: int | None = None
    days: list | None = None
    skip: set = field(default_factory=set)

    def __post_init__(self):
        if self.every not in UNITS:
            raise ValueError(f"unknown unit {self.every}")
        if self.step < 1:
            raise ValueError("step must be 1 or more")
        if self.count is not None and self.count < 1:
            raise ValueError("count must be 1 or more")
        if self.until is not None and self.until < self.start:
            raise ValueError("until lies before start")
        if self.days is not None:
            self.days = list(self.days)
            if self.every != "week" or not self.days or not set(self.days) <= set(range(7)):
                raise ValueError("days are weekdays 0 to 6, for weeks only")
        self.skip = set(self.skip)

    def dates(self, first=date.min):
        """Occurrences from `first` on, lazily."""
        for day in expand(self, first):
            if day >= first and day not in self.skip:
                yield day


@dataclass
class Event:
    title: str
    rule: Rule
