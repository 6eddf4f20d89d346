"""Runs report.sql over an example: python3 try.py"""

import sqlite3

base = sqlite3.connect(":memory:")
base.executescript(open("schema.sql").read())
base.executescript("""
INSERT INTO customers VALUES (1, 'Ann', 'no'), (2, 'Bo', 'NO '), (3, 'Cy', NULL);
INSERT INTO orders VALUES (1, 1, '2026-02-03', 0), (2, 1, '2025-12-31', 0), (3, 2, '2026-01-01', 1);
INSERT INTO items VALUES (1, 2, 450), (1, 1, 100), (2, 9, 999), (3, 1, 5);
""")
for row in base.execute(open("report.sql").read()):
    print(row)
