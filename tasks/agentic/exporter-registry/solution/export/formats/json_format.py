import json

from export.registry import register


@register("json", suffixes=[".json"])
def render(rows, *, lines=False, indent=2, **_):
    if lines:
        return "".join(json.dumps(row) + "\n" for row in rows)
    return json.dumps(rows, indent=indent) + "\n"
