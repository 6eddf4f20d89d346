from calendar import monthrange
from dataclasses import dataclass

from cron.fields import LIMITS, CronError, read_field

NICKNAMES = {"@hourly": "0 * * * *", "@daily": "0 0 * * *", "@weekly": "0 0 * * 0", "@monthly": "0 0 1 * *", "@yearly": "0 0 1 1 *"}


@dataclass
class Entry:
    fields: dict
    command: str
    either: bool

    def on(self, day):
        """Whether the entry runs on a date."""
        if day.month not in self.fields["month"]:
            return False
        length = monthrange(day.year, day.month)[1]
        of_month = day.day in self.fields["day"] or ("L" in self.fields["day"] and day.day == length)
        weekday = day.isoweekday() % 7
        of_week = bool({weekday, (weekday, (day.day + 6) // 7)} & self.fields["weekday"])
        of_week = of_week or (day.day + 7 > length and (weekday, 0) in self.fields["weekday"])
        return of_month or of_week if self.either else of_month and of_week


def read_line(line):
    if line.startswith("@"):
        name = line.split()[0]
        command = line[len(name) :].strip()
        if name not in NICKNAMES:
            raise CronError(f"unknown nickname {name}")
        fields = NICKNAMES[name].split()
    else:
        parts = line.split(None, 5)
        if len(parts) < 6:
            raise CronError("five fields and a command are needed")
        *fields, command = parts
    if not command:
        raise CronError("no command")
    either = not fields[2].startswith("*") and not fields[4].startswith("*")
    return Entry({name: read_field(name, field) for name, field in zip(LIMITS, fields)}, command.strip(), either)


def read_table(text):
    entries = []
    for n, line in enumerate(text.split("\n"), 1):
        if line.strip() and not line.strip().startswith("#"):
            try:
                entries.append(read_line(line.strip()))
            except CronError as error:
                raise CronError(f"line {n}: {error}") from error
    return entries
