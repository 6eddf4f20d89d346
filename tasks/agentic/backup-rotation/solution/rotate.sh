#!/bin/bash
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/lib/util.sh"

keep=3 dry='' date=$(date +%Y-%m-%d)
while getopts ":k:d:n" option; do
    case $option in
        k) keep=$OPTARG ;;
        d) date=$OPTARG ;;
        n) dry=1 ;;
        *) usage ;;
    esac
done
shift $((OPTIND - 1))

[ $# = 2 ] && [ -n "$1" ] && [ -n "$2" ] || usage
[[ $keep =~ ^0*[1-9][0-9]*$ ]] || usage
[[ $date =~ ^[0-9]{4}-[0-9]{2}-[0-9]{2}$ ]] || usage
keep=$((10#$keep))
[ -d "$1" ] || die "$1 is no folder"
source=$(cd -- "$1" && pwd) || die "$1 cannot be entered"
target=$2
name=${source##*/} parent=${source%/*}
file=$name-$date.tar.gz

if [ -z "$dry" ]; then
    mkdir -p -- "$target" || die "$target cannot be made"
    make_archive || die "$file cannot be made"
fi
echo "made $file"

mapfile -t all < <({ backups "$target" "$name"; echo "$file"; } | LC_ALL=C sort -u)
for ((n = 0; n < ${#all[@]} - keep; n++)); do
    [ -n "$dry" ] || rm -f -- "$target/${all[n]}"
    echo "deleted ${all[n]}"
done
