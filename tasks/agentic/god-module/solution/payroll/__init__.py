"""Payroll. Setting one of the tables here, as in `payroll.ROUNDING = ...`, changes it for every calculation."""

import sys
from types import ModuleType

from payroll import rates
from payroll.calc import gross, net, payslip, run, tax
from payroll.cli import main
from payroll.model import Employee, Payslip
from payroll.rates import BRACKETS, CHILD_ALLOWANCE, CLASS_FACTOR, OVERTIME, ROUNDING, tax_class
from payroll.render import render_csv, render_text

__all__ = [
    "BRACKETS", "CHILD_ALLOWANCE", "CLASS_FACTOR", "OVERTIME", "ROUNDING", "Employee", "Payslip", "gross", "main", "net",
    "payslip", "render_csv", "render_text", "run", "tax", "tax_class",
]


class _Package(ModuleType):
    def __setattr__(self, name, value):
        super().__setattr__(name, value)
        if name in {"BRACKETS", "CHILD_ALLOWANCE", "CLASS_FACTOR", "OVERTIME", "ROUNDING"}:
            setattr(rates, name, value)


sys.modules[__name__].__class__ = _Package
