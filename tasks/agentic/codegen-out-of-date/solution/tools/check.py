"""Tells whether api/client.py is up to date."""

import sys

from generate import TARGET, SchemaError, generate


def main():
    try:
        good = TARGET.is_file() and TARGET.read_bytes() == generate().encode()
    except SchemaError as error:
        sys.exit(str(error))
    print("ok" if good else "out of date")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
