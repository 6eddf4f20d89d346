import argparse
import sys

from joinlib.read import read_table


def main(argv):
    parser = argparse.ArgumentParser(prog="csvjoin")
    parser.add_argument("left")
    parser.add_argument("right")
    parser.add_argument("--on", required=True)
    args = parser.parse_args(argv)
    left, right = read_table(args.left), read_table(args.right)
    print(len(left.rows), "and", len(right.rows), "rows; joining is not written yet")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
