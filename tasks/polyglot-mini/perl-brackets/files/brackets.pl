while (<>) { $open += tr/([{//; $open -= tr/)]}//; }
print $open ? "bad\n" : "ok\n";
