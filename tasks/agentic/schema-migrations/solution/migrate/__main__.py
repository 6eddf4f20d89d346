import argparse
import sqlite3
import sys

from migrate.folder import MigrationError, migrations
from migrate.steps import Steps


def main(argv):
    parser = argparse.ArgumentParser(prog="migrate")
    parser.add_argument("database")
    parser.add_argument("folder")
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("up", "down"):
        commands.add_parser(name).add_argument("--to", type=int)
    commands.add_parser("status")
    args = parser.parse_args(argv)
    try:
        steps = Steps(sqlite3.connect(args.database), migrations(args.folder))
        if args.command == "status":
            for written, name, state in steps.status():
                print(written, name, state)
        else:
            getattr(steps, args.command)(args.to)
    except (MigrationError, sqlite3.Error, OSError) as error:
        print(f"migrate: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
