use strict;
my $text = do { local (@ARGV, $/) = shift; <> };
$text =~ s/\{\{(\w+)\}\}/$1/g;
print $text;
