import argparse
import json
import re
import sys
from datetime import date

from tasklist.store import Store, StoreError
from tasklist.view import line, ordered


def day(text):
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        raise ValueError(text)
    return date.fromisoformat(text).isoformat()


def parser():
    top = argparse.ArgumentParser(prog="tasklist")
    top.add_argument("--file", default="tasks.json")
    commands = top.add_subparsers(dest="command", required=True)
    add = commands.add_parser("add")
    add.add_argument("text")
    add.add_argument("--priority", choices=["low", "normal", "high"], default="normal")
    add.add_argument("--due", type=day)
    show = commands.add_parser("list")
    show.add_argument("--all", action="store_true")
    show.add_argument("--json", action="store_true")
    commands.add_parser("done").add_argument("ids", type=int, nargs="+")
    commands.add_parser("remove").add_argument("id", type=int)
    return top


def run(args):
    store = Store(args.file)
    if args.command == "add":
        print("added", store.add(args.text, args.priority, args.due)["id"])
    elif args.command == "done":
        store.done(args.ids)
    elif args.command == "remove":
        store.remove(args.id)
    else:
        tasks = ordered(store.tasks, args.all)
        print(json.dumps(tasks)) if args.json else print("".join(line(task) + "\n" for task in tasks), end="")


def main(argv):
    args = parser().parse_args(argv)
    try:
        run(args)
    except StoreError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
