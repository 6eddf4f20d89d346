function fail(text) {
    print "columns: " text > "/dev/stderr"
    failed = 1
    exit 1
}

# Fields of the record, in `field`; how many. -1 if a quote is still open.
function split_record(text,    n, at, c, end, value) {
    n = 0
    while (1) {
        n++
        value = ""
        if (substr(text, 1, 1) == "\"") {
            text = substr(text, 2)
            while (1) {
                at = index(text, "\"")
                if (!at) return -1
                value = value substr(text, 1, at - 1)
                text = substr(text, at + 1)
                if (substr(text, 1, 1) != "\"") break
                value = value "\""
                text = substr(text, 2)
            }
        }
        at = index(text, ",")
        if (!at) {
            field[n] = value text
            return n
        }
        field[n] = value substr(text, 1, at - 1)
        text = substr(text, at + 1)
    }
}

function shown(value) {
    if (value !~ /[",\n]/) return value
    gsub(/"/, "\"\"", value)
    return "\"" value "\""
}

function row(    n, i, line) {
    n = split_record(record)
    if (!header) {
        header = 1
        for (i = 1; i <= n; i++) if (!(field[i] in place)) place[field[i]] = i
        wanted = split(cols, names, ",")
        for (i = 1; i <= wanted; i++) if (!(names[i] in place)) fail("no column " names[i])
    }
    for (i = n + 1; i <= most; i++) field[i] = ""
    if (n > most) most = n
    line = ""
    for (i = 1; i <= wanted; i++) line = line (i > 1 ? "," : "") shown(field[place[names[i]]])
    out = out line "\n"
}

{
    sub(/\r$/, "")
    record = open ? record "\n" $0 : $0
    if (record == "") next
    open = split_record(record) < 0
    if (!open) row()
}

END {
    if (failed) exit 1
    if (open) fail("an open quote")
    else if (!header && cols != "") fail("no header")
    else printf "%s", out
}
