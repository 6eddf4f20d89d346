import sys

from reports.common import Report

SALES = Report("Sales", ("Region", "Count", "Amount"), ("region", "amount"), float, lambda total, count: f"{total:,.2f}")
report, main = SALES.text, SALES.main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
