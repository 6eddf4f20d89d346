"""The tables, and who belongs where in them."""

from decimal import Decimal

ROUNDING = Decimal("0.01")
BRACKETS = [(Decimal(1000), Decimal("0")), (Decimal(3000), Decimal("0.2")), (None, Decimal("0.4"))]
CLASS_FACTOR = {"single": Decimal(1), "family": Decimal("0.8"), "student": Decimal("0.5")}
OVERTIME = Decimal("1.5")
CHILD_ALLOWANCE = Decimal(150)


def tax_class(children, student):
    if student:
        return "student"
    return "family" if children else "single"
