import csv
import sys
from decimal import Decimal

from payroll.calc import run
from payroll.model import Employee
from payroll.render import render_csv, render_text


def main(argv):
    if not argv:
        print("usage: payroll FILE [--csv]", file=sys.stderr)
        return 2
    slips = run(_read(argv[0]))
    sys.stdout.write(render_csv(slips) if "--csv" in argv[1:] else render_text(slips))
    return 0


def _read(path):
    employees = []
    with open(path, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            try:
                employees.append(_employee(row))
            except (ArithmeticError, ValueError, TypeError):
                print(f"skipped: {row['name']}", file=sys.stderr)
    return employees


def _employee(row):
    children, student = int(row.get("children") or 0), (row.get("student") or "no") == "yes"
    return Employee(row["name"], Decimal(row["rate"]), Decimal(row["hours"]), children, student)
