#!/bin/bash
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$ROOT/steps/common.sh"
check_version "${1-}"
work=$(mktemp -d "$ROOT/.release.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir "$work/out"
bash "$ROOT/steps/stage.sh" "$ROOT" "$work/stage" "$1"
bash "$ROOT/steps/pack.sh" "$work/stage" "$work/out" "$1"
chmod 755 "$work/out"
rm -rf "$ROOT/out"
mv "$work/out" "$ROOT/out"
echo "released $1"
