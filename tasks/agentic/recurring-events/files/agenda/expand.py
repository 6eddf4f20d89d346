"""Makes the dates of a rule, one after the other."""

from datetime import timedelta

from agenda.months import add_months


def expand(rule):
    made = 0
    for day in RAW[rule.every](rule):
        if rule.until and day >= rule.until:
            return
        if day in rule.skip:
            continue
        if rule.count is not None and made >= rule.count:
            return
        made += 1
        yield day


def by_day(rule):
    day = rule.start
    while True:
        yield day
        day += timedelta(days=rule.step)


def by_week(rule):
    days = rule.days or [rule.start.weekday()]
    day = rule.start
    while True:
        for offset in range(7):
            if (day + timedelta(days=offset)).weekday() in days:
                yield day + timedelta(days=offset)
        day += timedelta(weeks=rule.step)


def by_month(rule):
    day = rule.start
    while True:
        yield day
        day = add_months(day, rule.step)


def by_year(rule):
    day = rule.start
    while True:
        yield day
        day = add_months(day, 12 * rule.step)


RAW = {"day": by_day, "week": by_week, "month": by_month, "year": by_year}
