import json
from dataclasses import dataclass


@dataclass
class Line:
    text: str
    quantity: float
    price: float
    vat: float


@dataclass
class Invoice:
    number: str
    discount: float
    lines: list


def read(path):
    with open(path, encoding="utf-8") as file:
        data = json.load(file)
    return Invoice(data["number"], data.get("discount", 0), [Line(**line) for line in data["lines"]])
