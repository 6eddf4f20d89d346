from joinlib.table import JoinError, Table


def join(left, right, on, right_on, how, prefix):
    """One table out of two."""
    if len(on) != len(right_on):
        raise JoinError(f"{len(on)} left keys and {len(right_on)} right keys")
    left_keys = [left.index(name) for name in on]
    right_keys = [right.index(name) for name in right_on]
    rest = [n for n in range(len(right.columns)) if n not in right_keys]
    columns = list(left.columns)
    for n in rest:
        name = right.columns[n]
        while name in columns:
            name = prefix + name
        columns.append(name)
    index = {}
    for number, row in enumerate(right.rows):
        if (key := key_of(row, right_keys)) is not None:
            index.setdefault(key, []).append(number)
    out, used = [], set()
    for row in left.rows:
        matches = index.get(key_of(row, left_keys), [])
        used.update(matches)
        out += [row + [right.rows[m][n] for n in rest] for m in matches]
        if not matches and how != "inner":
            out.append(row + [""] * len(rest))
    if how == "full":
        for number, row in enumerate(right.rows):
            if number not in used:
                filled = [""] * len(left.columns)
                for to, source in zip(left_keys, right_keys, strict=True):
                    filled[to] = row[source]
                out.append(filled + [row[n] for n in rest])
    return Table(columns, out)


def key_of(row, places):
    key = tuple(row[place].strip() for place in places)
    return key if all(key) else None
