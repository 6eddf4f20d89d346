[ $# -gt 0 ] || { echo "usage: options.sh SPEC ARGUMENT..." >&2; exit 2; }
spec=$1
shift
set -f

fail() {
    printf 'options.sh: %s\n' "$1" >&2
    exit 1
}

# Sets `found` to the last name of the option with a name, `takes` to "yes" if it wants a value. $2: what it is called in messages.
find_option() {
    found= takes= matches=0 exact=
    for word in $spec; do
        names=$word, hit=
        while [ -n "$names" ]; do
            plain=${names%%,*} names=${names#*,}
            plain=${plain%:}
            case $3,$plain in short,??* | long,?) continue ;; esac
            case $plain in
                "$1") hit=exact ;;
                "$1"*) hit=${hit:-prefix} ;;
            esac
        done
        [ -n "$hit" ] || continue
        [ -z "$exact" ] || continue
        if [ "$hit" = exact ]; then exact=yes matches=0; fi
        matches=$((matches + 1)) found=${word##*,} takes=
        found=${found%:}
        case $word in *:) takes=yes ;; esac
    done
    [ "$matches" -gt 0 ] || fail "unknown option $2"
    [ "$matches" -eq 1 ] || fail "ambiguous option $2"
}

nl='
'
options= others=
while [ $# -gt 0 ]; do
    arg=$1
    shift
    case $arg in
        --)
            for arg do others=$others:$arg$nl; done
            break
            ;;
        --*)
            name=${arg#--}
            name=${name%%=*}
            [ -n "$name" ] || fail "unknown option $arg"
            find_option "$name" "--$name" long
            case $arg in
                *=*)
                    [ -n "$takes" ] || fail "--$name takes no value"
                    options=$options$found=${arg#*=}$nl
                    ;;
                *)
                    if [ -n "$takes" ]; then
                        [ $# -gt 0 ] || fail "--$name wants a value"
                        options=$options$found=$1$nl
                        shift
                    else
                        options=$options$found$nl
                    fi
                    ;;
            esac
            ;;
        -?*)
            rest=${arg#-}
            while [ -n "$rest" ]; do
                tail=${rest#?}
                letter=${rest%"$tail"}
                rest=$tail
                find_option "$letter" "-$letter" short
                if [ -z "$takes" ]; then
                    options=$options$found$nl
                elif [ -n "$rest" ]; then
                    options=$options$found=$rest$nl
                    rest=
                else
                    [ $# -gt 0 ] || fail "-$letter wants a value"
                    options=$options$found=$1$nl
                    shift
                fi
            done
            ;;
        *) others=$others:$arg$nl ;;
    esac
done
printf '%s%s' "$options" "$others"
