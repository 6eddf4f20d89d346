import sqlite3

from migrate.folder import Migration, MigrationError

TABLE = """CREATE TABLE IF NOT EXISTS schema_migrations
(number INTEGER PRIMARY KEY, written TEXT NOT NULL, name TEXT NOT NULL, checksum TEXT NOT NULL)"""


def statements(text):
    """Whole statements of a script, one after the other."""
    pending = ""
    for part in text.split(";"):
        pending += part + ";"
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""
    if pending[:-1].strip():
        yield pending[:-1]


class Steps:
    """One database and the migrations of one folder."""

    def __init__(self, connection, known):
        self.connection, self.known = connection, {one.number: one for one in known}
        connection.isolation_level = None
        connection.execute(TABLE)

    def applied(self):
        rows = self.connection.execute("SELECT number, written, name, checksum FROM schema_migrations ORDER BY number")
        return {number: (written, name, checksum) for number, written, name, checksum in rows}

    def status(self):
        applied = self.applied()
        for number in sorted({*applied, *self.known}):
            one = self.known.get(number) or Migration(number, *applied[number][:2])
            yield one.written, one.name, self._state(number, applied)

    def _state(self, number, applied):
        if number not in applied:
            return "pending"
        if number not in self.known:
            return "missing"
        one = self.known[number]
        return "applied" if (one.name, one.checksum) == applied[number][1:] else "changed"

    def _check(self, to):
        applied = self.applied()
        for number in applied:
            if (state := self._state(number, applied)) != "applied":
                raise MigrationError(f"migration {number} is {state}")
        if to is not None and to not in self.known and to != 0:
            raise MigrationError(f"there is no migration {to}")
        return applied

    def up(self, to):
        applied = self._check(to)
        if to == 0:
            raise MigrationError("there is no migration 0")
        for number, one in self.known.items():
            if number not in applied and (to is None or number <= to):
                row = (number, one.written, one.name, one.checksum)
                self._run(one.up, "INSERT INTO schema_migrations VALUES (?, ?, ?, ?)", row)
                print("up", one.written, one.name, flush=True)

    def down(self, to):
        applied = sorted(self._check(to), reverse=True)
        chosen = [self.known[n] for n in (applied[:1] if to is None else [n for n in applied if n > to])]
        for one in chosen:
            if one.down is None:
                raise MigrationError(f"{one.written}_{one.name} has no down file")
        for one in chosen:
            self._run(one.down, "DELETE FROM schema_migrations WHERE number = ?", (one.number,))
            print("down", one.written, one.name, flush=True)

    def _run(self, path, record, values):
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            for statement in statements(path.read_text(encoding="utf-8")):
                self.connection.execute(statement)
            self.connection.execute(record, values)
            self.connection.execute("COMMIT")
        except sqlite3.Error as error:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            raise MigrationError(f"{path.name}: {error}") from error
