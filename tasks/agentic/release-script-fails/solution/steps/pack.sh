# pack.sh STAGE OUT VERSION
set -euo pipefail
tar -C "$1" -cf "$2/hello-$3.tar" "hello-$3"
cd "$2"
sha256sum "hello-$3.tar" > SHA256SUMS
