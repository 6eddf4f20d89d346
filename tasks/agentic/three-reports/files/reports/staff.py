import csv
import sys


def report(rows):
    groups = {}
    for row in rows:
        team = row["team"].strip().title() or "(none)"
        hours = float(row["hours"] or 0)
        groups.setdefault(team, []).append(hours)
    width = max([len(name) for name in groups] + [4])
    lines = ["Staff".center(width + 22).rstrip(), ""]
    lines.append("Team".ljust(width) + "  " + "People".rjust(8) + "  " + "Hours".rjust(10))
    lines.append("-" * (width + 22))
    for name in sorted(groups, key=lambda name: (sum(groups[name]), name)):
        values = groups[name]
        lines.append(name.ljust(width) + "  " + str(len(values)).rjust(8) + "  " + f"{sum(values) / len(values):.1f}".rjust(10))
    lines.append("-" * (width + 22))
    total = sum(sum(values) for values in groups.values())
    count = sum(len(values) for values in groups.values())
    if count:
        lines.append("Mean".ljust(width) + "  " + str(count).rjust(8) + "  " + f"{total / count:.1f}".rjust(10))
    return "\n".join(lines) + "\n"


def main(argv):
    if len(argv) != 1:
        print("usage: staff FILE", file=sys.stderr)
        return 2
    with open(argv[0], newline="", encoding="utf-8") as file:
        sys.stdout.write(report(list(csv.DictReader(file))))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
