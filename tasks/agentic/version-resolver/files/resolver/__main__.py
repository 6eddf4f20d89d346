import json
import re
import sys

from resolver import Unsolvable, solve


def main(argv):
    with open(argv[0], encoding="utf-8") as file:
        index = json.load(file)
    wanted = {}
    for text in argv[1:]:
        name = re.match(r"[\w-]+", text)[0]
        wanted[name] = text[len(name) :] or "*"
    try:
        for name, version in sorted(solve(index, wanted).items()):
            print(name, version)
    except Unsolvable as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
