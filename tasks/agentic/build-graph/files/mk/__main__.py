import sys

from mk.parse import parse
from mk.run import build


def main(argv):
    dry = "-n" in argv
    targets = [arg for arg in argv if not arg.startswith("-")]
    rules = parse(open("Mkfile").read())
    for target in targets or list(rules)[:1]:
        build(rules, target, dry)


main(sys.argv[1:])
