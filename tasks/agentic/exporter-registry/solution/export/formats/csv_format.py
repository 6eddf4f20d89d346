import csv
import io

from export.registry import register


@register("csv", suffixes=[".csv"])
def render(rows, *, delimiter=",", **_):
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator="\n")
    if rows:
        writer.writerow(list(rows[0]))
    for row in rows:
        writer.writerow(["" if value is None else value for value in row.values()])
    return out.getvalue()
