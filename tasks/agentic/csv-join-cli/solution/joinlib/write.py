import csv
import os
import sys
import tempfile


def write_table(table, path):
    """To a file, complete or not at all; to standard output if there is no path."""
    if path is None:
        sys.stdout.reconfigure(encoding="utf-8", newline="\n")
        fill(sys.stdout, table)
        return
    handle, name = tempfile.mkstemp(dir=os.path.dirname(path) or ".")
    try:
        with open(handle, "w", encoding="utf-8", newline="") as file:
            fill(file, table)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def fill(file, table):
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows(table.rows)
