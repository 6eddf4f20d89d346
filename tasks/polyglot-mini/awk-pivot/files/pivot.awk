{ sum[$1] += $3 }
END { for (name in sum) print name, sum[name] }
