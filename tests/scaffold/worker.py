"""Calls functions of the scaffold by name, one JSON line each, so that the tests need not import it."""

from __future__ import annotations

import importlib
import json
import sys


def main() -> None:
    """Answer with the result, or with the name of the exception as `{"error": name}`."""
    for line in sys.stdin:
        name, args = json.loads(line)
        module, _, function = name.rpartition(".")
        try:
            result = getattr(importlib.import_module(f"agent.scaffold.{module}"), function)(*args)
        except Exception as error:  # noqa: BLE001 every exception is the answer
            result = {"error": type(error).__name__}
        sys.stdout.write(json.dumps(result) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
