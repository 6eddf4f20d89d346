"""Stock keeping for a small shop."""

from stock.errors import OutOfStock, UnknownProduct
from stock.orders import Line, Order
from stock.service import cancel, reserve
from stock.warehouse import Warehouse

__all__ = ["Line", "Order", "OutOfStock", "UnknownProduct", "Warehouse", "cancel", "reserve"]
