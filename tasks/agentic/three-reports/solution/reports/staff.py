import sys

from reports.common import Report

STAFF = Report(
    "Staff", ("Team", "People", "Hours"), ("team", "hours"), float, lambda total, count: f"{total / count:.1f}",
    name=lambda text: text.strip().title(), order=1, last="Mean", last_if_empty=False,
)
report, main = STAFF.text, STAFF.main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
