import json
import re
import sys
from datetime import datetime, timedelta, timezone

HEAD = re.compile(
    r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d) (DEBUG|INFO|WARN|ERROR) \[([^/\]]+)/([^\]]+)\] ?(.*)", re.ASCII
)
FRAME = re.compile(r'\s+File "(.*)", line (\d+), in (.*)')
TRACE = "Traceback (most recent call last):"


def when(match):
    """Exact: whole seconds as UTC, and the fraction as a number of 10^-12 parts."""
    zone = match[3].replace("Z", "+00:00")
    return datetime.fromisoformat(match[1] + zone).astimezone(timezone.utc), int((match[2] or "0").ljust(12, "0")[:12])


def records(paths):
    found = []
    for path in paths:
        current = None
        with open(path, encoding="utf-8", errors="replace", newline="") as file:
            for line in file.read().split("\n"):
                line = line.removesuffix("\r")
                match = HEAD.fullmatch(line)
                if match:
                    current = {"time": when(match), "level": match[4], "service": match[5], "thread": match[6], "message": match[7], "more": []}
                    found.append(current)
                elif current:
                    current["more"].append(line)
    return sorted(found, key=lambda record: record["time"])


def kind(record):
    starts = [n for n, line in enumerate(record["more"]) if line == TRACE]
    if not starts:
        return "message", re.sub(r"[0-9]+", "N", record["message"])
    place = ""
    for line in record["more"][starts[-1] + 1 :]:
        if line and not line[0].isspace():
            return line.split(":")[0], place
        if frame := FRAME.fullmatch(line):
            place = f"{frame[1]}:{frame[2]} in {frame[3]}"
    return "message", re.sub(r"[0-9]+", "N", record["message"])


def shown(time):
    second, fraction = time
    return f"{second:%Y-%m-%dT%H:%M:%S}.{fraction // 10**9:03}Z"


def gap(a, b):
    return (b[0] - a[0]) // timedelta(seconds=1) * 10**12 + b[1] - a[1]


def main(paths):
    groups, last, errors = {}, {}, 0
    for record in records(paths):
        where = record["service"], record["thread"]
        if record["level"] == "ERROR":
            errors += 1
            key = (record["service"], *kind(record))
            group = groups.setdefault(key, {"times": [], "threads": set(), "before": last.get(where)})
            group["times"].append(record["time"])
            group["threads"].add(record["thread"])
        last[where] = record["message"]
    out = []
    for (service, type_, place), group in groups.items():
        times = group["times"]
        out.append({
            "service": service, "type": type_, "place": place, "count": len(times),
            "bursts": 1 + sum(gap(a, b) >= 60 * 10**12 for a, b in zip(times, times[1:], strict=False)),
            "threads": sorted(group["threads"]), "first": shown(times[0]), "last": shown(times[-1]), "before": group["before"],
        })
    out.sort(key=lambda group: -group["count"])
    print(json.dumps({"errors": errors, "groups": out}, indent=2))


main(sys.argv[1:])
