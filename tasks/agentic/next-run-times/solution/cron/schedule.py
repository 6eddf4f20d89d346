import heapq
from datetime import datetime, time, timedelta

from cron.table import read_table

# Weekdays and leap years repeat after 400 years, but what comes at all comes within 28, or 40 around a skipped leap year.
LONGEST = 366 * 41


def runs(entry, start):
    """Times after a minute, ascending; ends if there is none for decades."""
    day, idle = start.date(), 0
    hours, minutes = sorted(entry.fields["hour"]), sorted(entry.fields["minute"])
    while idle < LONGEST:
        idle += 1
        if entry.on(day):
            for hour in hours:
                for minute in minutes:
                    found = datetime.combine(day, time(hour, minute))
                    if found > start:
                        idle = 0
                        yield found
        try:
            day += timedelta(days=1)
        except OverflowError:
            return


def tagged(entry, n, start):
    for time_ in runs(entry, start):
        yield time_, n, entry.command


def next_runs(text, start, count):
    start = start.replace(second=0, microsecond=0)
    streams = [tagged(entry, n, start) for n, entry in enumerate(read_table(text))]
    found = []
    if count < 1:
        return found
    for time_, _, command in heapq.merge(*streams):
        found.append((time_, command))
        if len(found) == count:
            break
    return found
