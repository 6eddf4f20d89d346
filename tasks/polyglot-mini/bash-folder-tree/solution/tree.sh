usage() { echo "usage: tree.sh [-a] [-L DEPTH] FOLDER" >&2; exit 2; }

LC_ALL=C
depth=0 folders=0 files=0
shopt -s nullglob
while getopts ":aL:" option; do
    case $option in
        a) shopt -s dotglob ;;
        L) [[ $OPTARG =~ ^0*[1-9][0-9]*$ ]] || usage; depth=$((10#$OPTARG)) ;;
        *) usage ;;
    esac
done
shift $((OPTIND - 1))
[ $# = 1 ] || usage
[ -d "$1" ] || { printf 'tree.sh: %s is no folder\n' "$1" >&2; exit 1; }

# FOLDER INDENT LEVEL
show() {
    local entries=("$1"/*) n name branch inner
    for n in "${!entries[@]}"; do
        name=${entries[n]##*/} branch='|-- ' inner='|   '
        ((n == ${#entries[@]} - 1)) && branch='`-- ' inner='    '
        if [ -L "${entries[n]}" ]; then
            printf '%s%s%s -> %s\n' "$2" "$branch" "$name" "$(readlink -- "${entries[n]}")"
            ((files++))
        else
            printf '%s%s%s\n' "$2" "$branch" "$name"
            if [ -d "${entries[n]}" ]; then
                ((folders++))
                (($3 == depth)) || show "${entries[n]}" "$2$inner" $(($3 + 1))
            else
                ((files++))
            fi
        fi
    done
}

printf '%s\n' "$1"
folder=$1
[[ $folder == /* ]] || folder=./$folder
show "$folder" '' 1
printf '\n%d folders, %d files\n' "$folders" "$files"
