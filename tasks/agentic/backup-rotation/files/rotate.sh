#!/bin/bash
. lib/util.sh

keep=3
date=`date +%Y-%m-%d`
while getopts "k:d:n" option; do
    case $option in
        k) keep=$OPTARG ;;
        d) date=$OPTARG ;;
        n) dry=1 ;;
    esac
done
shift $OPTIND

[ $# = 2 ] || usage
source=$1
target=$2
[ -d $source ] || die "$source is no folder"

name=`basename $source`
mkdir -p $target
tar czf $target/$name-$date.tar.gz $source
echo "made $name-$date.tar.gz"

for old in `backups $target $name | head -n -$keep`; do
    rm $target/$old
    echo "deleted $old"
done
