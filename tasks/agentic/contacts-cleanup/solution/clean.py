import csv
import json
import re
import sys
import unicodedata
from pathlib import Path


def name_of(text):
    return " ".join(unicodedata.normalize("NFC", text or "").split())


def mails(parts):
    found = [part.strip().lower() for part in parts]
    return [m for m in found if re.fullmatch(r"[^@\s]+@[^@\s]+", m) and "." in m.partition("@")[2]]


def phones(parts):
    found = []
    for part in parts:
        text = (part or "").strip()
        digits = re.sub(r"[^0-9]", "", text)
        if text.startswith("+"):
            pass
        elif digits.startswith("00"):
            digits = digits[2:]
        elif digits.startswith("0"):
            digits = "49" + digits[1:]
        else:
            continue
        if 8 <= len(digits) <= 15:
            found.append("+" + digits)
    return found


def from_csv(path):
    with path.open(newline="", encoding="utf-8-sig") as file:
        for row in csv.DictReader(file, delimiter=";"):
            name = row.get("Name") or ""
            if "," in name:
                last, first = name.split(",", 1)
                name = f"{first} {last}"
            yield name_of(name), mails(re.split(r"[,\s]+", row.get("E-Mail") or "")), phones([row.get("Phone")])


def from_json(path):
    for item in json.loads(path.read_text(encoding="utf-8-sig")):
        tel = item.get("tel") or []
        name = name_of(f"{item.get('first') or ''} {item.get('last') or ''}")
        yield name, mails([item.get("mail") or ""]), phones([tel] if isinstance(tel, str) else tel)


def main(folder):
    records = []
    for path in sorted(Path(folder).iterdir(), key=lambda p: p.name):
        if path.is_file() and path.suffix in {".csv", ".json"}:
            reader = from_csv if path.suffix == ".csv" else from_json
            records += [(*record, path.name) for record in reader(path)]
    records = [record for record in records if record[1] or record[2]]
    parent = list(range(len(records)))

    def root(n):
        while parent[n] != n:
            parent[n] = parent[parent[n]]
            n = parent[n]
        return n

    first = {}
    for n, (_, emails, numbers, _) in enumerate(records):
        for key in [*emails, *numbers]:
            parent[root(n)] = root(first.setdefault(key, n))
    groups = {}
    for n, record in enumerate(records):
        groups.setdefault(root(n), []).append(record)
    people = []
    for group in groups.values():
        people.append({
            "name": max((record[0] for record in group), key=len),
            "emails": sorted({m for record in group for m in record[1]}),
            "phones": sorted({p for record in group for p in record[2]}),
            "sources": sorted({record[3] for record in group}),
        })
    people.sort(key=lambda p: (p["name"].casefold(), (p["emails"] or [""])[0], (p["phones"] or [""])[0]))
    sys.stdout.reconfigure(encoding="utf-8")
    for person in people:
        print(json.dumps(person, ensure_ascii=False, separators=(",", ":")))


if __name__ == "__main__":
    main(sys.argv[1])
