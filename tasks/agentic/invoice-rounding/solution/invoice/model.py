import json
from dataclasses import dataclass
from decimal import Decimal


@dataclass
class Line:
    text: str
    quantity: Decimal
    price: Decimal
    vat: Decimal


@dataclass
class Invoice:
    number: str
    discount: Decimal
    lines: list


def read(path):
    with open(path, encoding="utf-8") as file:
        data = json.load(file, parse_float=Decimal, parse_int=Decimal)
    return Invoice(data["number"], data.get("discount", Decimal(0)), [Line(**line) for line in data["lines"]])
