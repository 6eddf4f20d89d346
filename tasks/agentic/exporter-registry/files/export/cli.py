import argparse
import json
import sys

from export.convert import convert


def main(argv):
    parser = argparse.ArgumentParser(prog="export")
    parser.add_argument("source")
    parser.add_argument("target")
    parser.add_argument("--format", required=True)
    parser.add_argument("--delimiter", default=",")
    parser.add_argument("--caption")
    parser.add_argument("--lines", action="store_true")
    args = parser.parse_args(argv)
    try:
        with open(args.source, encoding="utf-8") as file:
            rows = json.load(file)
        if args.format == "csv":
            data = convert(rows, "csv", delimiter=args.delimiter)
        elif args.format == "json":
            data = convert(rows, "json", lines=args.lines)
        elif args.format == "html":
            data = convert(rows, "html", caption=args.caption)
        elif args.format == "gzip":
            data = convert(rows, "gzip", lines=args.lines)
        else:
            raise ValueError(f"unknown format {args.format}")
    except (OSError, ValueError) as error:
        print(f"export: {error}", file=sys.stderr)
        return 2
    if isinstance(data, str):
        data = data.encode()
    with open(args.target, "wb") as file:
        file.write(data)
    return 0
