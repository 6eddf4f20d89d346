from calendar import monthrange
from datetime import MAXYEAR, date


def add_months(day, months):
    """The same day some months later, or the last day of that month if it is shorter; None after the last year."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    if year > MAXYEAR:
        return None
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))
