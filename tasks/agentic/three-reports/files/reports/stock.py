import csv
import sys


def report(rows):
    groups = {}
    for row in rows:
        shelf = row["shelf"].strip() or "(none)"
        pieces = int(row["pieces"] or 0)
        if pieces < 0:
            continue
        groups.setdefault(shelf, []).append(pieces)
    width = max([len(name) for name in groups] + [5])
    lines = ["Stock".center(width + 22).rstrip(), ""]
    lines.append("Shelf".ljust(width) + "  " + "Lines".rjust(8) + "  " + "Pieces".rjust(10))
    lines.append("=" * (width + 22))
    for name in sorted(groups, key=lambda name: (-sum(groups[name]), name)):
        values = groups[name]
        lines.append(name.ljust(width) + "  " + str(len(values)).rjust(8) + "  " + f"{sum(values)}".rjust(10))
    lines.append("=" * (width + 22))
    total = sum(sum(values) for values in groups.values())
    count = sum(len(values) for values in groups.values())
    lines.append("Total".ljust(width) + "  " + str(count).rjust(8) + "  " + f"{total}".rjust(10))
    return "\n".join(lines) + "\n"


def main(argv):
    if len(argv) != 1:
        print("usage: stock FILE", file=sys.stderr)
        return 2
    with open(argv[0], newline="", encoding="utf-8-sig") as file:
        sys.stdout.write(report(list(csv.DictReader(file))))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
