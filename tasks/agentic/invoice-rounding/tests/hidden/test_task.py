import json
import subprocess
import sys
import tempfile

ENV = {"PATH": "/usr/bin:/bin:/usr/local/bin", "HOME": "/tmp", "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}


def show(text):
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.write(text)
        file.flush()
        done = subprocess.run([sys.executable, "-m", "invoice", file.name], capture_output=True, text=True, timeout=60, env=ENV)
    assert done.returncode == 0, done.stderr[-300:]
    return done.stdout.splitlines()


def invoice(*lines, discount=None):
    """Lines as (quantity, price, vat), each as JSON text."""
    items = ", ".join(f'{{"text": "L{n}", "quantity": {q}, "price": {p}, "vat": {v}}}' for n, (q, p, v) in enumerate(lines))
    head = '"number": "N"' + (f', "discount": {discount}' if discount is not None else "")
    got = [line.rsplit(None, 1) for line in show(f'{{{head}, "lines": [{items}]}}')[1:]]
    return {name.strip(): amount for name, amount in got}


def test_the_layout():
    text = '{"number": "R-1", "discount": 10, "lines": [{"text": "Tea", "quantity": 3, "price": 4.15, "vat": 7}, {"text": "Cup", "quantity": 1, "price": 10.05, "vat": 19}]}'
    rows = [("Tea", "11.21"), ("Cup", "9.05"), ("Net", "20.26"), ("VAT 7%", "0.78"), ("VAT 19%", "1.72"), ("Total", "22.76")]
    assert show(text) == ["Invoice R-1", *(f"{name:<20}{amount:>12}" for name, amount in rows)]


def test_halves_are_rounded_up():
    assert [invoice((1, p, 0))["Net"] for p in ("1.005", "2.675", "0.125", "1.115", "8.345")] == ["1.01", "2.68", "0.13", "1.12", "8.35"]


def test_credit_notes_are_rounded_away_from_zero():
    got = invoice((-1, "1.005", 10), (-1, "2.675", 10))
    assert (got["Net"], got["VAT 10%"], got["Total"]) == ("-3.69", "-0.37", "-4.06")


def test_vat_once_per_rate():
    got = invoice(*[(1, "0.33", 19)] * 3, (1, "0.33", 7), (1, "0.33", 19))
    assert (got["VAT 19%"], got["VAT 7%"], got["Total"]) == ("0.25", "0.02", "1.92")


def test_vat_is_rounded_commercially():
    assert invoice((1, "0.50", 1))["VAT 1%"] == "0.01"
    assert invoice((1, "2.50", 5))["VAT 5%"] == "0.13"


def test_discount_per_line_before_rounding():
    got = invoice((1, "0.05", 0), (1, "0.05", 0), (3, "0.35", 0), discount="10")
    assert (got["L0"], got["L2"], got["Net"]) == ("0.05", "0.95", "1.05")
    assert invoice((1, "1.005", 0), discount="0.5")["Net"] == "1.00"
    assert invoice((1, "10.00", 20), discount="12.5")["Total"] == "10.50"


def test_equal_rates_are_one_and_rates_are_sorted_by_value():
    got = invoice((1, "1.00", "19"), (1, "1.00", "7"), (1, "1.00", "7.0"), (1, "1.00", "10.5"))
    assert [name for name in got if name.startswith("VAT")] == ["VAT 7%", "VAT 10.5%", "VAT 19%"]
    assert got["VAT 7%"] == "0.14"


def test_large_amounts_keep_their_cents():
    assert invoice(("1000000", "123456789.015", 0))["Net"] == "123456789015000.00"
    assert invoice((3, "33333333333333.335", 0))["Net"] == "100000000000000.01"
