import argparse
import sys

from joinlib.join import join
from joinlib.read import read_table
from joinlib.table import JoinError
from joinlib.write import write_table


def main(argv):
    parser = argparse.ArgumentParser(prog="csvjoin")
    parser.add_argument("left")
    parser.add_argument("right")
    parser.add_argument("--on", required=True)
    parser.add_argument("--right-on")
    parser.add_argument("--how", choices=["inner", "left", "full"], default="inner")
    parser.add_argument("--prefix", default="right_")
    parser.add_argument("--output")
    args = parser.parse_args(argv)
    if not args.prefix:
        parser.error("--prefix must not be empty")
    on = args.on.split(",")
    right_on = args.right_on.split(",") if args.right_on is not None else on
    try:
        table = join(read_table(args.left), read_table(args.right), on, right_on, args.how, args.prefix)
        write_table(table, args.output)
    except (JoinError, OSError, UnicodeDecodeError) as error:
        print(f"csvjoin: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
