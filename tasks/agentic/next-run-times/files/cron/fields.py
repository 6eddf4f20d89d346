class CronError(ValueError):
    """A crontab that cannot be read."""


LIMITS = {"minute": (0, 59), "hour": (0, 23), "day": (1, 31), "month": (1, 12), "weekday": (0, 7)}


def read_field(name, text):
    """The values that a field stands for."""
    low, high = LIMITS[name]
    if text == "*":
        return set(range(low, high + 1))
    value = int(text)
    if not low <= value <= high:
        raise CronError(f"{name} {text}")
    return {value}
