from invoice.money import cents


def net(line):
    return cents(line.quantity * line.price)


def vat(invoice):
    """Rate -> amount."""
    found = {}
    for line in invoice.lines:
        found[line.vat] = found.get(line.vat, 0) + cents(net(line) * line.vat / 100)
    return found


def totals(invoice):
    """Net, VAT per rate, gross."""
    total = cents(sum(net(line) for line in invoice.lines) * (100 - invoice.discount) / 100)
    taxes = vat(invoice)
    return total, taxes, total + sum(taxes.values())
