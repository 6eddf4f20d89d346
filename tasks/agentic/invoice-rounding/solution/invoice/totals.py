from decimal import Decimal

from invoice.money import cents


def net(invoice, line):
    return cents(line.quantity * line.price * (100 - invoice.discount) / 100)


def vat(invoice):
    """Rate -> amount."""
    sums = {}
    for line in invoice.lines:
        sums[line.vat] = sums.get(line.vat, Decimal(0)) + net(invoice, line)
    return {rate: cents(amount * rate / 100) for rate, amount in sums.items()}


def totals(invoice):
    """Net, VAT per rate, gross."""
    total = sum((net(invoice, line) for line in invoice.lines), Decimal(0))
    taxes = vat(invoice)
    return total, taxes, total + sum(taxes.values(), Decimal(0))
