import sys

from settings import load


def main(argv):
    if argv and argv[-1] == "dump":
        for name, value in load(argv[:-1]).as_dict().items():
            print(f"{name} = {value}")
        return 0
    if len(argv) >= 2 and argv[-2] == "get":
        print(load(argv[:-2]).get(argv[-1]))
        return 0
    print("usage: python3 -m settings FILE... (get NAME | dump)", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
