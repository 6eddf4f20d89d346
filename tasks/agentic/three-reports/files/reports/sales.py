import csv
import sys


def report(rows):
    groups = {}
    for row in rows:
        region = row["region"].strip() or "(none)"
        amount = float(row["amount"] or 0)
        groups.setdefault(region, []).append(amount)
    width = max([len(name) for name in groups] + [6])
    lines = ["Sales".center(width + 22).rstrip(), ""]
    lines.append("Region".ljust(width) + "  " + "Count".rjust(8) + "  " + "Amount".rjust(10))
    lines.append("-" * (width + 22))
    for name in sorted(groups, key=lambda name: (-sum(groups[name]), name)):
        values = groups[name]
        lines.append(name.ljust(width) + "  " + str(len(values)).rjust(8) + "  " + f"{sum(values):,.2f}".rjust(10))
    lines.append("-" * (width + 22))
    total = sum(sum(values) for values in groups.values())
    count = sum(len(values) for values in groups.values())
    lines.append("Total".ljust(width) + "  " + str(count).rjust(8) + "  " + f"{total:,.2f}".rjust(10))
    return "\n".join(lines) + "\n"


def main(argv):
    if len(argv) != 1:
        print("usage: sales FILE", file=sys.stderr)
        return 2
    with open(argv[0], newline="", encoding="utf-8") as file:
        sys.stdout.write(report(list(csv.DictReader(file))))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
