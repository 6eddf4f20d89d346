import argparse
import sys

from mk.parse import MkError, parse
from mk.run import build


def main(argv):
    parser = argparse.ArgumentParser(prog="mk")
    parser.add_argument("-n", action="store_true")
    parser.add_argument("-k", action="store_true")
    parser.add_argument("targets", nargs="*")
    args = parser.parse_args(argv)
    try:
        with open("Mkfile", encoding="utf-8") as file:
            rules = parse(file.read())
        if not rules:
            raise MkError("the Mkfile has no rules")
        return build(rules, args.targets or list(rules)[:1], args.n, args.k)
    except (MkError, OSError) as error:
        print(f"mk: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
