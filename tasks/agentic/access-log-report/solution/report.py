import gzip
import json
import re
import sys
from collections import Counter

QUOTED = r'"((?:[^"\\]|\\.)*)"'
LINE = re.compile(
    r"(\S+) - (\S+) \[([^\]]+)\] " + QUOTED + r" ([1-5]\d\d) (\d+|-) " + QUOTED + " " + QUOTED + r" (\d+(?:\.\d+)?)",
    re.ASCII,
)
TIME = re.compile(r"\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}", re.ASCII)


def lines(paths):
    for path in paths:
        opener = gzip.open if path.endswith(".gz") else open
        with opener(path, "rt", encoding="utf-8", errors="replace", newline="\n") as file:
            for line in file:
                yield line.rstrip("\r\n")


def main(paths):
    if not paths:
        print("usage: report.py FILE...", file=sys.stderr)
        return 2
    bad, status, hits, clients, sent, durations = 0, Counter(), Counter(), set(), 0, []
    try:
        for line in lines(paths):
            if not line.strip():
                continue
            match = LINE.fullmatch(line)
            if not match or len(match[4].split(" ")) != 3 or not all(match[4].split(" ")) or not TIME.fullmatch(match[3]):
                bad += 1
                continue
            status[match[5][0] + "xx"] += 1
            hits[match[4].split(" ")[1].partition("?")[0]] += 1
            clients.add(match[1])
            sent += 0 if match[6] == "-" else int(match[6])
            durations.append(float(match[9]))
    except (OSError, EOFError) as error:
        print(f"cannot read: {error}", file=sys.stderr)
        return 2
    durations.sort()
    rank = -(-95 * len(durations) // 100)
    result = {
        "requests": len(durations),
        "bad_lines": bad,
        "status": dict(status),
        "top_paths": [list(item) for item in sorted(hits.items(), key=lambda item: (-item[1], item[0]))[:3]],
        "clients": len(clients),
        "bytes": sent,
        "p95_ms": durations[rank - 1] if durations else None,
    }
    print(json.dumps(result, indent=2, sort_keys=True))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
