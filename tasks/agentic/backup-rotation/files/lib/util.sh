usage() {
    echo "usage: rotate.sh [-k COUNT] [-d DATE] [-n] SOURCE TARGET"
    exit 1
}

die() {
    echo "rotate.sh: $*" >&2
    exit 1
}

# The backups of one name, oldest first.
backups() {
    ls -tr $1 | grep "^$2-"
}
