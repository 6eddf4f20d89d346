import sys

from invoice.model import read
from invoice.totals import net, totals


def main(path):
    invoice = read(path)
    total, taxes, gross = totals(invoice)
    print(f"Invoice {invoice.number}")
    for line in invoice.lines:
        print(f"{line.text:<20}{net(invoice, line):>12.2f}")
    print(f"{'Net':<20}{total:>12.2f}")
    for rate in sorted(taxes):
        print(f"{f'VAT {rate}%':<20}{taxes[rate]:>12.2f}")
    print(f"{'Total':<20}{gross:>12.2f}")


main(sys.argv[1])
