usage() { echo "usage: retry.sh [-n TRIES] [-d SECONDS] [-c CODES] [-q] -- COMMAND ARGUMENT..." >&2; exit 2; }

tries=3 delay=0 codes='' quiet=''
while getopts ":n:d:c:q" option; do
    case $option in
        n) tries=$OPTARG ;;
        d) delay=$OPTARG ;;
        c) codes=$OPTARG; [ -n "$codes" ] || usage ;;
        q) quiet=1 ;;
        *) usage ;;
    esac
done
[ "${!OPTIND-}" != -- ] && [ "${@:OPTIND-1:1}" != -- ] && usage
shift $((OPTIND - 1))
[ $# -gt 0 ] || usage
[[ $tries =~ ^0*[1-9][0-9]*$ && $delay =~ ^([0-9]+\.?[0-9]*|\.[0-9]+)$ ]] || usage
tries=$((10#$tries))

declare -A again=()
if [ -n "$codes" ]; then
    IFS=, read -ra items <<< "$codes,"
    [[ $codes =~ ^[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*$ ]] || usage
    for item in "${items[@]}"; do
        low=$((10#${item%-*})) high=$((10#${item#*-}))
        ((low >= 1 && high <= 255 && low <= high)) || usage
        for ((code = low; code <= high; code++)); do again[$code]=1; done
    done
else
    for ((code = 1; code < 256; code++)); do again[$code]=1; done
    unset 'again[126]' 'again[127]'
fi

work=$(mktemp -d) || exit 1
child=''
trap 'rm -rf "$work"' EXIT
trap 'trap "" TERM; [ -z "$child" ] || { kill -TERM "$child" 2> /dev/null; wait "$child"; }; exit 143' TERM
exec 3<&0
cat <&3 > "$work/in" &
child=$!
wait "$child" 2> /dev/null
exec 3<&-
for ((n = 1; ; n++)); do
    "$@" < "$work/in" > "$work/out" &
    child=$!
    wait "$child" 2> /dev/null
    code=$?
    child=''
    if ((code == 0 || n == tries)) || [ -z "${again[$code]-}" ]; then
        cat "$work/out"
        exit "$code"
    fi
    [ -n "$quiet" ] || echo "retry: try $n of $tries failed (exit code $code)" >&2
    if [[ $delay =~ [1-9] ]]; then
        sleep "$delay" &
        child=$!
        wait "$child"
        child=''
    fi
    delay=$(awk -v d="$delay" 'BEGIN { printf "%.6f", 2 * d }')
done
