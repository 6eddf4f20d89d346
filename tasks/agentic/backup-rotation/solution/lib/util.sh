usage() {
    echo "usage: rotate.sh [-k COUNT] [-d DATE] [-n] SOURCE TARGET" >&2
    exit 2
}

die() {
    echo "rotate.sh: $*" >&2
    exit 1
}

# The backups of one name; their order by name is their order by date.
backups() {
    local path base rest
    for path in "$1"/*; do
        base=${path##*/}
        [[ $base == "$2"-* && -f $path ]] || continue
        rest=${base#"$2"-}
        [[ $rest =~ ^[0-9]{4}-[0-9]{2}-[0-9]{2}\.tar\.gz$ ]] && printf '%s\n' "$base"
    done
}

# Pack $source; the archive appears whole or not at all. What lies in the target folder is left out.
make_archive() {
    local inside temporary
    temporary=$(mktemp) || return 1
    local -a exclude=()
    inside=$(cd -- "$target" && pwd) || return 1
    if [[ $inside == "$source"/* ]]; then
        exclude=(--anchored --no-wildcards --exclude="./$name${inside#"$source"}")
    fi
    if ! tar -C "${parent:-/}" "${exclude[@]}" --transform='s,^\./,,' -czf "$temporary" -- "./$name"; then
        rm -f -- "$temporary"
        return 1
    fi
    chmod 644 "$temporary"
    mv -f -- "$temporary" "$target/$file"
}
