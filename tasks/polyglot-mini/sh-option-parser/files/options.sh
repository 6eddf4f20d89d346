spec=$1
shift
for arg; do
    echo $arg
done
