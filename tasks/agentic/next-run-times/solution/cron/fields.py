import re


class CronError(ValueError):
    """A crontab that cannot be read."""


MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
LIMITS = {"minute": (0, 59), "hour": (0, 23), "day": (1, 31), "month": (1, 12), "weekday": (0, 7)}
NAMES = {"month": {name: n + 1 for n, name in enumerate(MONTHS)}, "weekday": {name: n for n, name in enumerate(DAYS)}}


def number(name, text):
    found = NAMES.get(name, {}).get(text.lower())
    if found is None:
        if not re.fullmatch("[0-9]+", text):
            raise CronError(f"{name}: {text!r} is no value")
        found = int(text)
    low, high = LIMITS[name]
    if not low <= found <= high:
        raise CronError(f"{name}: {text} is not from {low} to {high}")
    return found


def read_item(name, text):
    """The values of one item."""
    body, slash, step_text = text.partition("/")
    step = 1
    if slash:
        if not re.fullmatch("[0-9]+", step_text) or int(step_text) < 1:
            raise CronError(f"{name}: {step_text!r} is no step")
        step = int(step_text)
    low, high = LIMITS[name]
    top = 6 if name == "weekday" else high
    if body == "*":
        return range(low, top + 1, step)
    first, dash, last = body.partition("-")
    begin = number(name, first)
    end = number(name, last) if dash else (max(top, begin) if slash else begin)
    if end < begin:
        if name != "weekday":
            raise CronError(f"{name}: {body} is backwards")
        end += 7
    return range(begin, end + 1, step)


def read_field(name, text):
    """The values that a field stands for; of weekdays also (day, n) for the n-th, n = 0 for the last; {"L"} for the last day."""
    if name == "day" and text.upper() == "L":
        return {"L"}
    found = set()
    for item in text.split(","):
        if name == "weekday" and (match := re.fullmatch(r"(\w+)#([1-5])|(\w+)[lL]", item)):
            found.add((number(name, match[1] or match[3]) % 7, int(match[2] or 0)))
        elif name == "weekday":
            found |= {value % 7 for value in read_item(name, item)}
        else:
            found |= set(read_item(name, item))
    return found
