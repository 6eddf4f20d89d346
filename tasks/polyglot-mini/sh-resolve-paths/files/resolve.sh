base=$1
shift
for path in $*; do
    echo $base/$path
done
