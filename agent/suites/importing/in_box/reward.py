"""Runs in the grading box after a Harbor test script: makes one number from 0 to 1 of the rewards that it wrote.

python3 -I reward.py FOLDER KEY LOW HIGH

As Harbor does: reward.json first, then reward.txt; a number, or an object of numbers of which KEY is the reward. A
reward is rescaled from LOW..HIGH; one outside of it gives no verdict. The result replaces FOLDER/reward.json.
"""

import json
import sys
from pathlib import Path


def main(folder: str, key: str, low: str, high: str) -> str:
    """What to tell about the reward; the file holds a number only if there is one."""
    target = Path(folder) / "reward.json"
    try:
        value = within(read(target, Path(folder) / "reward.txt", key), float(low), float(high))
    except (OSError, ValueError, RecursionError) as error:
        target.unlink(missing_ok=True)
        return f"no reward: {error}"
    target.write_text(json.dumps((value - float(low)) / (float(high) - float(low))), encoding="utf-8")
    return f"reward {value:g}"


def read(as_json: Path, as_text: Path, key: str) -> float:
    """The reward. Raises ValueError or OSError if there is none."""
    if not as_json.exists():
        return float(as_text.read_text(encoding="utf-8"))
    said = json.loads(as_json.read_text(encoding="utf-8"))
    if isinstance(said, dict):
        if key not in said:
            raise ValueError(f"reward.json has no key {key!r}, only {', '.join(map(repr, said))}"[:300])
        said = said[key]
    if isinstance(said, bool) or not isinstance(said, (int, float)):
        raise ValueError(f"{said!r:.60} is not a number")  # noqa: TRY004 - the text is at fault
    return float(said)


def within(value: float, low: float, high: float) -> float:
    """The value itself. Raises ValueError for one outside of the range, which NaN is as well."""
    if not low <= value <= high:
        raise ValueError(f"the reward {value:g} is not from {low:g} to {high:g}")
    return value


if __name__ == "__main__":
    sys.stdout.write(main(*sys.argv[1:5]) + "\n")
