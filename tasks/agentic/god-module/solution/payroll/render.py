import csv
import io
from decimal import Decimal


def render_text(slips):
    lines = []
    for slip in slips:
        lines.append(f"{slip.employee.name:<12}{slip.gross:>12}{slip.tax:>12}{slip.net:>12}")
        for note in slip.notes:
            lines.append(f"  * {note}")
    total = sum((slip.net for slip in slips), Decimal(0))
    lines.append(f"{'total':<12}{'':>24}{total:>12}")
    return "\n".join(lines) + "\n"


def render_csv(slips):
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["name", "gross", "tax", "net"])
    for slip in slips:
        writer.writerow([slip.employee.name, slip.gross, slip.tax, slip.net])
    return out.getvalue()
