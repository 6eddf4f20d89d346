BEGIN { FS = OFS = "\t" }
/^$/ || /^#/ { next }
NF != 3 || $3 !~ /^-?[0-9]+$/ {
    print "pivot: line " NR > "/dev/stderr"
    failed = 1
    exit 1
}
{
    if (!($1 in total)) rows[++r] = $1
    if (!($2 in column)) columns[++c] = $2
    total[$1] += $3
    column[$2] += $3
    cell[$1, $2] += $3
    all += $3
}

# Whether the text a comes after b; "x" keeps awk from comparing numbers.
function after(a, b) { return ("x" a) > ("x" b) }

function sort_columns(    i, j, t) {
    for (i = 2; i <= c; i++) {
        t = columns[i]
        for (j = i - 1; j && after(columns[j], t); j--) columns[j + 1] = columns[j]
        columns[j + 1] = t
    }
}

function sort_rows(    i, j, t) {
    for (i = 2; i <= r; i++) {
        t = rows[i]
        for (j = i - 1; j && (total[rows[j]] < total[t] || (total[rows[j]] == total[t] && after(rows[j], t))); j--) rows[j + 1] = rows[j]
        rows[j + 1] = t
    }
}

function whole(number) { return sprintf("%.0f", number + 0) }

END {
    if (failed) exit 1
    sort_columns()
    sort_rows()
    line = ""
    for (i = 1; i <= c; i++) line = line OFS columns[i]
    print line OFS "total"
    for (j = 1; j <= r; j++) {
        line = rows[j]
        for (i = 1; i <= c; i++) line = line OFS (((rows[j], columns[i]) in cell) ? whole(cell[rows[j], columns[i]]) : "")
        print line OFS whole(total[rows[j]])
    }
    line = "total"
    for (i = 1; i <= c; i++) line = line OFS whole(column[columns[i]])
    print line OFS whole(all)
}
