from basket.articles import PRICES
from basket.discounts import free_pieces, vouchers_off
from basket.vouchers import percent

SHIPPING, FREE_FROM = 490, 5000


class Basket:
    def __init__(self):
        self.lines, self.codes = [], []

    def add(self, article, count=1):
        if article not in PRICES or count < 1:
            raise ValueError(f"{count} x {article}")
        self.lines.append((article, count))

    def voucher(self, code):
        self.codes.append(code)
        percent(code)

    def goods(self):
        return sum(PRICES[article] * count for article, count in self.lines)

    def total(self):
        amount = vouchers_off(self.goods(), [percent(code) for code in self.codes])
        amount -= free_pieces(self.lines)
        if amount < FREE_FROM:
            amount += SHIPPING
        return amount
