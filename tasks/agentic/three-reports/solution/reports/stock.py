import sys

from reports.common import Report

STOCK = Report(
    "Stock", ("Shelf", "Lines", "Pieces"), ("shelf", "pieces"), int, lambda total, count: str(total),
    keep=lambda pieces: pieces >= 0, rule="=", encoding="utf-8-sig",
)
report, main = STOCK.text, STOCK.main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
