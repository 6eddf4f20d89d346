import argparse
import sys

from tasklist.store import Store
from tasklist.view import lines


def main(argv):
    parser = argparse.ArgumentParser(prog="tasklist")
    parser.add_argument("--file", default="tasks.json")
    commands = parser.add_subparsers(dest="command", required=True)
    add = commands.add_parser("add")
    add.add_argument("text")
    commands.add_parser("list")
    args = parser.parse_args(argv)
    store = Store(args.file)
    if args.command == "add":
        print("added", store.add(args.text)["id"])
    else:
        for line in lines(store.tasks):
            print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
