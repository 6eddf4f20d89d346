case ${1-} in
    /*) base=$1 ;;
    *) echo "usage: resolve.sh BASE PATH..." >&2; exit 2 ;;
esac
shift

resolve() {
    rest=$1/ out=
    while [ -n "$rest" ]; do
        part=${rest%%/*} rest=${rest#*/}
        case $part in
            '' | .) ;;
            ..) out=${out%/*} ;;
            *) out=$out/$part ;;
        esac
    done
    printf '%s\n' "${out:-/}"
}

for path do
    case $path in
        /*) resolve "$path" ;;
        *) resolve "$base/$path" ;;
    esac
done
