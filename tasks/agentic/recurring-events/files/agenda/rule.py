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
        if self.step < 0:
            raise ValueError("step must be 1 or more")
        if self.until and self.until <= self.start:
            raise ValueError("until lies before start")

    def dates(self, first=date.min):
        """Occurrences from `first` on, lazily."""
        for day in expand(self):
            if day in self.skip:
                continue
            if day >= first:
                yield day


@dataclass
class Event:
    title: str
    rule: Rule
