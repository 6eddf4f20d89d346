import json
import re
import sys

from resolver import Unsolvable, solve
from resolver.versions import BadVersion


def main(argv):
    try:
        with open(argv[0], encoding="utf-8") as file:
            index = json.load(file)
        wanted = {}
        for text in argv[1:]:
            name = re.match(r"[\w-]+", text)
            if not name:
                raise BadVersion(f"{text!r} names no package")
            wanted[name[0]] = text[name.end() :].strip() or "*"
        found = solve(index, wanted)
    except Unsolvable as error:
        print(error, file=sys.stderr)
        return 1
    except (OSError, ValueError, IndexError, AttributeError) as error:
        print(f"resolver: {error}", file=sys.stderr)
        return 2
    for name, version in sorted(found.items()):
        print(name, version)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
