import argparse
import json
import sys

from export import registry
from export.convert import convert


def _arguments(argv):
    parser = argparse.ArgumentParser(prog="export")
    parser.add_argument("source")
    parser.add_argument("target")
    parser.add_argument("--format")
    parser.add_argument("--delimiter", default=",")
    parser.add_argument("--caption")
    parser.add_argument("--lines", action="store_true")
    return parser.parse_args(argv)


def main(argv):
    args = _arguments(argv)
    try:
        with open(args.source, encoding="utf-8") as file:
            rows = json.load(file)
        name = args.format if args.format is not None else registry.for_path(args.target).name
        data = convert(rows, name, delimiter=args.delimiter, caption=args.caption, lines=args.lines)
    except (OSError, ValueError) as error:
        print(f"export: {error}", file=sys.stderr)
        return 2
    with open(args.target, "wb") as file:
        file.write(data.encode() if isinstance(data, str) else data)
    return 0
