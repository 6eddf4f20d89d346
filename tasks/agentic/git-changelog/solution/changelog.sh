#!/bin/bash
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/lib/types.sh"

usage() { echo "usage: changelog.sh [-C REPOSITORY] [FROM [TO]]" >&2; exit 2; }
die() { echo "changelog.sh: $*" >&2; exit 1; }

repository=.
while getopts ":C:" option; do
    case $option in
        C) repository=$OPTARG ;;
        *) usage ;;
    esac
done
shift $((OPTIND - 1))
[ $# -le 2 ] || usage
to=${2-HEAD}

# The first letter as a capital; ASCII only.
capitalized() { printf '%s%s' "$(printf %s "${1:0:1}" | LC_ALL=C tr a-z A-Z)" "${1:1}"; }
g() { git -C "$repository" "$@"; }
commit_of() { g rev-parse --verify --quiet --end-of-options "$1^{commit}" 2>/dev/null; }

g rev-parse --git-dir > /dev/null 2>&1 || die "$repository is no repository"
tip=$(commit_of "$to") || die "unknown revision $to"
if [ $# -ge 1 ]; then
    base=$(commit_of "$1") || die "unknown revision $1"
else
    base=
    # Tags of TO itself do not count, so look from its parents on.
    tag=$(g describe --tags --abbrev=0 "$tip^" 2>/dev/null) && base=$(commit_of "$tag")
fi

declare -A section=() reverted=() reverts=()
breaking='' other='' hashes=() subjects=() notes=() bang=()
while IFS= read -r -d $'\x1e' record; do
    record=${record#$'\n'}
    hash=${record%%$'\x1f'*} rest=${record#*$'\x1f'}
    subject=${rest%%$'\x1f'*} body=${rest#*$'\x1f'}
    note=
    while IFS= read -r line; do
        [[ -z $note && $line == 'BREAKING CHANGE: '* ]] && note=${line#BREAKING CHANGE: }
        [[ $line =~ ^'This reverts commit '([0-9a-f]{40,64})'.'$ ]] && reverts[$hash]=${BASH_REMATCH[1]}
    done <<< "$body"
    hashes+=("$hash") subjects+=("$subject") notes+=("$note")
done < <(g log --reverse --topo-order --no-merges --format=$'%H%x1f%s%x1f%b%x1e' "$tip" ${base:+"^$base"})

# Newest first: a revert that is itself reverted reverts nothing.
declare -A known=()
for hash in "${hashes[@]}"; do known[$hash]=1; done
for ((n = ${#hashes[@]} - 1; n >= 0; n--)); do
    hash=${hashes[n]} target=${reverts[${hashes[n]}]-}
    if [[ -n $target && -z ${reverted[$hash]-} && -n ${known[$target]-} ]]; then
        reverted[$target]=1 reverted[$hash]=1
    fi
done

pattern='^([A-Za-z]+)(\(([^()]*)\))?(!?): +(.+)$'
for n in "${!hashes[@]}"; do
    hash=${hashes[n]} subject=${subjects[n]} note=${notes[n]}
    [ -z "${reverted[$hash]-}" ] || continue
    heading= scope= mark= text=$subject
    if [[ $subject =~ $pattern ]]; then
        mark=${BASH_REMATCH[4]}
        for pair in "${TYPES[@]}"; do
            [ "${pair%%=*}" = "${BASH_REMATCH[1]}" ] && heading=${pair#*=}
        done
        if [ -n "$heading" ] || [ -n "$mark$note" ]; then
            scope=${BASH_REMATCH[3]} text=${BASH_REMATCH[5]}
        fi
    fi
    prefix=${scope:+"**$scope:** "}
    short=" (${hash:0:7})"
    capital=$(capitalized "$text")
    if [ -n "$mark$note" ]; then
        breaking+="- $prefix$(capitalized "${note:-$text}")$short"$'\n'
    fi
    if [ -n "$heading" ]; then
        section[$heading]+="- $prefix$capital$short"$'\n'
    else
        other+="- $subject$short"$'\n'
    fi
done

show() { [ -z "$2" ] || printf '\n## %s\n\n%s' "$1" "$2"; }
printf '# %s (%s)\n' "$to" "$(TZ=UTC g log -1 --format=%cd --date=format-local:%Y-%m-%d "$tip")"
show "Breaking changes" "$breaking"
for pair in "${TYPES[@]}"; do show "${pair#*=}" "${section[${pair#*=}]-}"; done
show Other "$other"
