"""Payroll: everything in one place."""

import csv
import io
import sys
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal

ROUNDING = Decimal("0.01")
BRACKETS = [(Decimal(1000), Decimal("0")), (Decimal(3000), Decimal("0.2")), (None, Decimal("0.4"))]
CLASS_FACTOR = {"single": Decimal(1), "family": Decimal("0.8"), "student": Decimal("0.5")}
OVERTIME = Decimal("1.5")
CHILD_ALLOWANCE = Decimal(150)


@dataclass
class Employee:
    name: str
    rate: Decimal
    hours: Decimal
    children: int = 0
    student: bool = False


@dataclass
class Payslip:
    employee: Employee
    gross: Decimal
    tax: Decimal
    net: Decimal
    notes: list = field(default_factory=list)


def tax_class(children, student):
    if student:
        return "student"
    return "family" if children else "single"


def gross(employee):
    normal = min(employee.hours, Decimal(160))
    extra = employee.hours - normal
    return _round(normal * employee.rate + extra * employee.rate * OVERTIME)


def tax(employee):
    rest = gross(employee) - CHILD_ALLOWANCE * employee.children
    total, low = Decimal(0), Decimal(0)
    for high, share in BRACKETS:
        if rest <= low:
            break
        top = rest if high is None else min(rest, high)
        total += (top - low) * share
        low = top
        if high is not None and rest <= high:
            break
    return _round(total * CLASS_FACTOR[tax_class(employee.children, employee.student)])


def net(employee):
    return gross(employee) - tax(employee)


def _round(amount):
    return amount.quantize(ROUNDING, rounding=ROUND_HALF_UP)


def payslip(employee):
    slip = Payslip(employee, gross(employee), tax(employee), net(employee))
    if employee.hours > 160:
        slip.notes.append(f"{employee.hours - 160} hours of overtime")
    if slip.tax == 0:
        slip.notes.append("no tax")
    return slip


def run(employees):
    return [payslip(employee) for employee in sorted(employees, key=lambda e: e.name)]


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


def main(argv):
    if not argv:
        print("usage: payroll FILE [--csv]", file=sys.stderr)
        return 2
    employees = []
    with open(argv[0], newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            try:
                employees.append(
                    Employee(
                        row["name"], Decimal(row["rate"]), Decimal(row["hours"]),
                        int(row.get("children") or 0), (row.get("student") or "no") == "yes",
                    )
                )
            except (ArithmeticError, ValueError, TypeError):
                print(f"skipped: {row['name']}", file=sys.stderr)
    slips = run(employees)
    sys.stdout.write(render_csv(slips) if "--csv" in argv[1:] else render_text(slips))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
