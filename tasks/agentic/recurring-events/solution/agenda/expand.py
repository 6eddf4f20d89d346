"""Makes the dates of a rule, one after the other."""

from datetime import date, timedelta

from agenda.months import add_months


def expand(rule, first=date.min):
    """Dates before `first` may be left out, but only where that does not change the count."""
    made = 0
    jump = rule.count is None and first > rule.start
    for day in RAW[rule.every](rule, first if jump else rule.start):
        if rule.until is not None and day > rule.until:
            return
        if rule.count is not None and made >= rule.count:
            return
        made += 1
        yield day


def periods(rule, days_per_step, first):
    """Numbers of the steps, from one that lies surely before `first`."""
    number = max(0, (first - rule.start).days // days_per_step - 2)
    while True:
        yield number
        number += 1


def by_day(rule, first):
    for number in periods(rule, rule.step, first):
        try:
            yield rule.start + timedelta(days=number * rule.step)
        except OverflowError:
            return


def by_week(rule, first):
    days = sorted(set(rule.days if rule.days is not None else [rule.start.weekday()]))
    # The Monday may lie before date.min, so everything is counted from the start.
    back = rule.start.weekday()
    for number in periods(rule, 7 * rule.step, first):
        for weekday in days:
            offset = number * 7 * rule.step + weekday - back
            if offset < 0:
                continue
            try:
                yield rule.start + timedelta(days=offset)
            except OverflowError:
                return


def by_month(rule, first):
    for number in periods(rule, 31 * rule.step, first):
        day = add_months(rule.start, number * rule.step)
        if day is None:
            return
        yield day


def by_year(rule, first):
    for number in periods(rule, 366 * rule.step, first):
        day = add_months(rule.start, 12 * number * rule.step)
        if day is None:
            return
        if day.day == rule.start.day:
            yield day


RAW = {"day": by_day, "week": by_week, "month": by_month, "year": by_year}
