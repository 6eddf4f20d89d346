# type=Heading, in the order in which they are shown
TYPES=(
    "feat=Features"
    "fix=Fixes"
    "perf=Performance"
    "docs=Documentation"
)
