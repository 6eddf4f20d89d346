from decimal import ROUND_HALF_UP, Decimal


def cents(amount):
    """Half away from zero."""
    return amount.quantize(Decimal("0.01"), rounding=ROUND_HALF_UP)
