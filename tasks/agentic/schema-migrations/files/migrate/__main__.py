import sqlite3
import sys

from migrate.folder import migrations


def main(argv):
    database, folder, command = argv
    connection = sqlite3.connect(database)
    connection.execute("CREATE TABLE IF NOT EXISTS schema_migrations (name TEXT)")
    done = [row[0] for row in connection.execute("SELECT name FROM schema_migrations")]
    for path in migrations(folder):
        if path.name not in done:
            connection.executescript(path.read_text())
            connection.execute("INSERT INTO schema_migrations VALUES (?)", [path.name])
            connection.commit()
            print("up", path.name)


main(sys.argv[1:])
