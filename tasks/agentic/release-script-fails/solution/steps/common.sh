check_version() {
    if [[ ! $1 =~ ^(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*)){2}$ ]]; then
        echo "bad version: $1" >&2
        exit 2
    fi
}
