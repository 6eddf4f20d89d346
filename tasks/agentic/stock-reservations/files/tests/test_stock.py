from stock import Order, Warehouse, cancel, reserve


def test_reserve_takes_pieces():
    warehouse = Warehouse({"pen": 5})
    reserve(warehouse, Order("ann", []).add("pen", 2))
    assert warehouse.count("pen") == 3


def test_cancel_gives_them_back():
    warehouse = Warehouse({"pen": 5})
    order = Order("ann", []).add("pen", 2)
    reserve(warehouse, order)
    cancel(warehouse, order)
    assert warehouse.count("pen") == 5
