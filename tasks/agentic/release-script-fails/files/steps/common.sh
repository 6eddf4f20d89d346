ROOT=/home/kim/work/hello

check_version() {
    if [[ ! $1 =~ [0-9].[0-9].[0-9] ]]; then
        echo "bad version: $1"
        exit 0
    fi
}
