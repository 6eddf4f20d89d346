import csv

from joinlib.table import Table


def read_table(path):
    """A table from a CSV file."""
    with open(path, newline="") as file:
        reader = csv.reader(file)
        columns = next(reader)
        return Table(columns, [row for row in reader if row])
