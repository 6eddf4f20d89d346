# stage.sh ROOT STAGE VERSION
set -euo pipefail
folder=$2/hello-$3
mkdir -p "$folder/lib"
sed "s/@VERSION@/$3/g" "$1/src/hello.sh" > "$folder/hello.sh"
chmod 755 "$folder/hello.sh"
cp "$1/src/lib/greet.sh" "$folder/lib/greet.sh"
printf '%s\n' "$3" > "$folder/VERSION"
