#!/bin/sh
set -e
source steps/common.sh
VERSION=$1
check_version $VERSION
rm -rf out && mkdir out
bash steps/stage.sh $VERSION
bash steps/pack.sh $VERSION
echo "released $VERSION"
