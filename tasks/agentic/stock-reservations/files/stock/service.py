"""Moves pieces between orders and the warehouse."""


def reserve(warehouse, order):
    """Take everything that the order asks for. Raises OutOfStock or UnknownProduct."""
    if order.state != "open":
        raise ValueError(f"the order is {order.state}")
    order.state = "reserved"
    for line in order.lines:
        warehouse.take(line.product, line.count)


def cancel(warehouse, order):
    """Give back what was reserved. An order that was never reserved is just closed."""
    for line in order.lines:
        if order.state != "open":
            warehouse.put(line.product, line.count)
    order.state = "cancelled"
