import csv
import gzip
import html
import io
import json


def convert(rows, format, **options):
    """Rows (a list of dictionaries with equal keys) as text, or bytes for gzip."""
    if format == "csv":
        out = io.StringIO()
        writer = csv.writer(out, delimiter=options.get("delimiter", ","), lineterminator="\n")
        if rows:
            writer.writerow(list(rows[0]))
        for row in rows:
            writer.writerow(["" if value is None else value for value in row.values()])
        return out.getvalue()
    elif format == "json":
        if options.get("lines"):
            return "".join(json.dumps(row) + "\n" for row in rows)
        return json.dumps(rows, indent=options.get("indent", 2)) + "\n"
    elif format == "html":
        text = "<table>\n"
        if options.get("caption"):
            text += f"<caption>{html.escape(options['caption'])}</caption>\n"
        if rows:
            text += "<tr>" + "".join(f"<th>{html.escape(str(key))}</th>" for key in rows[0]) + "</tr>\n"
        for row in rows:
            text += "<tr>" + "".join(f"<td>{'' if v is None else html.escape(str(v))}</td>" for v in row.values()) + "</tr>\n"
        return text + "</table>\n"
    elif format == "gzip":
        inner = options.pop("inner", "json")
        if inner == "gzip":
            raise ValueError("gzip in gzip")
        return gzip.compress(convert(rows, inner, **options).encode(), mtime=0)
    else:
        raise ValueError(f"unknown format {format}")
