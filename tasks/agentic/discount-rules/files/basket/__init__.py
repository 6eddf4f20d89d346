from basket.basket import Basket
from basket.vouchers import UnknownVoucher

__all__ = ["Basket", "UnknownVoucher"]
