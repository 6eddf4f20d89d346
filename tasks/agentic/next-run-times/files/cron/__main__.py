import argparse
import sys
from datetime import datetime

from cron import next_runs


def main(argv):
    parser = argparse.ArgumentParser(prog="cron")
    parser.add_argument("file")
    parser.add_argument("--from", dest="start", type=datetime.fromisoformat, required=True)
    parser.add_argument("--count", type=int, default=5)
    args = parser.parse_args(argv)
    with open(args.file, encoding="utf-8") as file:
        for time, command in next_runs(file.read(), args.start, args.count):
            print(f"{time:%Y-%m-%dT%H:%M} {command}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
