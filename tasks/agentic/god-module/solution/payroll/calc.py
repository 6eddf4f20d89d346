from decimal import ROUND_HALF_UP, Decimal

from payroll import rates
from payroll.model import Payslip


def gross(employee):
    normal = min(employee.hours, Decimal(160))
    extra = employee.hours - normal
    return _round(normal * employee.rate + extra * employee.rate * rates.OVERTIME)


def tax(employee):
    rest = gross(employee) - rates.CHILD_ALLOWANCE * employee.children
    total, low = Decimal(0), Decimal(0)
    for high, share in rates.BRACKETS:
        if rest <= low:
            break
        top = rest if high is None else min(rest, high)
        total += (top - low) * share
        low = top
        if high is not None and rest <= high:
            break
    return _round(total * rates.CLASS_FACTOR[rates.tax_class(employee.children, employee.student)])


def net(employee):
    return gross(employee) - tax(employee)


def _round(amount):
    return amount.quantize(rates.ROUNDING, rounding=ROUND_HALF_UP)


def payslip(employee):
    slip = Payslip(employee, gross(employee), tax(employee), net(employee))
    if employee.hours > 160:
        slip.notes.append(f"{employee.hours - 160} hours of overtime")
    if slip.tax == 0:
        slip.notes.append("no tax")
    return slip


def run(employees):
    return [payslip(employee) for employee in sorted(employees, key=lambda e: e.name)]
