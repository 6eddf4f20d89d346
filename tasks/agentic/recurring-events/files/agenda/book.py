"""Questions about several events at once."""


def between(events, first, last):
    found = []
    for event in events:
        for day in event.rule.dates(first):
            if day > last:
                break
            found.append((day, event.title))
    return sorted(found)


def next_after(events, day):
    best = None
    for event in events:
        for found in event.rule.dates(day):
            if best is None or found < best:
                best = found
            break
    return best


def conflicts(events, first, last):
    days = [day for day, _ in between(events, first, last)]
    return [day for day in days if days.count(day) > 1]
