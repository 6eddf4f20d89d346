from calendar import monthrange
from datetime import date


def add_months(day, months):
    """The same day some months later, or the last day of that month if it is shorter."""
    index = day.year * 12 + day.month + months
    year, month = index // 12, index % 12
    if month == 0:
        month = 12
    return date(year, month, min(day.day, monthrange(year, month)[1]))
