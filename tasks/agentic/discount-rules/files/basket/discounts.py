from basket.articles import PRICES, THREE_FOR_TWO


def free_pieces(lines):
    """What three-for-two takes off, in cents."""
    off = 0
    for article, count in lines:
        if article in THREE_FOR_TWO:
            off += count // 3 * PRICES[article]
    return off


def vouchers_off(amount, percents):
    for percent in percents:
        amount = round(amount * (1 - percent / 100))
    return amount
