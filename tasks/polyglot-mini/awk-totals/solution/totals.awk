NF == 2 && $2 ~ /^-?[0-9]+$/ {
    if (!($1 in count)) order[++n] = $1
    count[$1]++
    sum[$1] += $2
    lines++
    all += $2
}
END {
    for (i = 1; i <= n; i++) {
        name = order[i]
        printf "%s %d %d %.2f\n", name, count[name], sum[name], sum[name] / count[name]
    }
    printf "TOTAL %d %d\n", lines, all
}
