from collections import Counter

from basket.articles import PRICES, THREE_FOR_TWO

MOST_PERCENT = 50


def free_pieces(lines):
    """What three-for-two takes off, in cents."""
    counts = Counter()
    for article, count in lines:
        counts[article] += count
    return sum(count // 3 * PRICES[article] for article, count in counts.items() if article in THREE_FOR_TWO)


def vouchers_off(amount, percents):
    return amount * (100 - min(MOST_PERCENT, sum(percents))) // 100
