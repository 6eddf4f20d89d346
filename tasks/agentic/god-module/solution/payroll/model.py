from dataclasses import dataclass, field
from decimal import Decimal


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
