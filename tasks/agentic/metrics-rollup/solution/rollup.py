import argparse
import re
import sys
from datetime import datetime, timezone
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from statistics import median

NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def read(paths):
    """{(host, metric): {time: value}}, lines, skipped."""
    series, lines, skipped = {}, 0, 0
    for path in paths:
        with open(path, encoding="utf-8", errors="replace") as file:
            for line in file:
                lines += 1
                fields = [field.strip() for field in line.split(",")]
                if len(fields) != 4 or not re.fullmatch(r"-?[0-9]+", fields[0]) or not all(fields) or not NUMBER.fullmatch(fields[3]):
                    skipped += 1
                    continue
                time, host, metric, value = fields
                series.setdefault((host, metric), {})[int(time)] = Decimal(value)
    return series, lines, skipped


def values(metric, points):
    """(time, value) in order of time; increases for counters."""
    ordered = sorted(points.items())
    if not metric.endswith("_total"):
        return ordered
    return [(t, b - a if b >= a else b) for (_, a), (t, b) in zip(ordered, ordered[1:])]


def number(value):
    text = str(value.quantize(Decimal("0.001"), rounding=ROUND_HALF_EVEN))
    return "0.000" if text == "-0.000" else text


def rows(series, width):
    for (host, metric), points in series.items():
        windows = {}
        for time, value in values(metric, points):
            windows.setdefault(time // width, []).append(value)
        before = None
        for window in sorted(windows):
            found = windows[window]
            gaps = 0 if before is None else window - before - 1
            before = window
            stats = [min(found), max(found), sum(found) / len(found), Decimal(median(found))]
            yield window, host, metric, len(found), stats, gaps


def main(argv):
    parser = argparse.ArgumentParser(prog="rollup")
    parser.add_argument("--width", type=int, default=300)
    parser.add_argument("--out")
    parser.add_argument("files", nargs="+")
    args = parser.parse_args(argv)
    if args.width < 1:
        parser.error("--width must be 1 or more")
    try:
        series, lines, skipped = read(args.files)
    except OSError as error:
        print(f"rollup: {error}", file=sys.stderr)
        return 2
    text = ["window host metric count min max mean p50 gaps".replace(" ", "\t")]
    with localcontext() as context:
        context.prec = 60
        for window, host, metric, count, stats, gaps in sorted(rows(series, args.width), key=lambda row: row[:3]):
            shown = datetime.fromtimestamp(window * args.width, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
            text.append("\t".join([shown, host, metric, str(count), *map(number, stats), str(gaps)]))
    body = "\n".join(text) + "\n"
    if args.out:
        with open(args.out, "w", encoding="utf-8", newline="\n") as file:
            file.write(body)
    else:
        sys.stdout.write(body)
    print(f"{lines} lines, {skipped} skipped", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
