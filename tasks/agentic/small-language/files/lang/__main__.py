import sys

from lang import LangError, run

try:
    with open(sys.argv[1], encoding="utf-8") as file:
        for line in run(file.read()):
            print(line)
except LangError as error:
    print(error, file=sys.stderr)
    sys.exit(1)
