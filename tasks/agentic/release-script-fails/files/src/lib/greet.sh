greet() {
    echo "Hello, ${1:-world}! (version $2)"
}
