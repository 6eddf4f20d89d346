import csv

from joinlib.table import JoinError, Table


def read_table(path):
    """A table from a CSV file. Raises JoinError."""
    csv.field_size_limit(1 << 30)
    with open(path, newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file)
        columns = next(reader, None)
        if not columns:
            raise JoinError(f"{path}: the file is empty")
        for name in columns:
            if columns.count(name) > 1:
                raise JoinError(f"{path}: column {name!r} stands twice")
        rows, begin = [], reader.line_num + 1
        for row in reader:
            if len(row) > len(columns):
                raise JoinError(f"{path}: line {begin} has {len(row)} values for {len(columns)} columns")
            begin = reader.line_num + 1
            if row:
                rows.append(row + [""] * (len(columns) - len(row)))
        return Table(columns, rows, path)
