use strict;
use warnings;
use utf8;
binmode STDOUT, ':encoding(UTF-8)';
use Encode qw(decode);

my %closes = (')' => '(', ']' => '[', '}' => '{');

sub check {
    my ($text) = @_;
    my ($line, $start, @open) = (1, 0);
    my $place = sub { return ($line, $_[0] - $start + 1) };
    pos($text) = 0;
    while (pos($text) < length $text) {
        my $at = pos $text;
        if ($text =~ /\G\n/gc) { $line++; $start = pos $text }
        elsif ($text =~ /\G\/\/[^\n]*/gc) { }
        elsif ($text =~ /\G\/\*/gc) {
            my @begin = $place->($at);
            $text =~ /\G.*?\*\//gcs or return "$begin[0]:$begin[1]: comment is not closed";
            my $body = substr $text, $at, pos($text) - $at;
            if ((my $breaks = $body =~ tr/\n//) > 0) {
                $line += $breaks;
                $start = $at + rindex($body, "\n") + 1;
            }
        }
        elsif ($text =~ /\G(["'])/gc) {
            my $quote = $1;
            $text =~ /\G(?:[^\\\n$quote]|\\[^\n])*$quote/gc or return join(':', $place->($at)) . ': text is not closed';
        }
        elsif ($text =~ /\G([(\[{])/gc) { push @open, [ $1, $place->($at) ] }
        elsif ($text =~ /\G([)\]}])/gc) {
            my $last = pop @open or return join(':', $place->($at)) . ": $1 closes nothing";
            $last->[0] eq $closes{$1} or return join(':', $place->($at)) . ": $1 does not close $last->[0] at $last->[1]:$last->[2]";
        }
        else { $text =~ /\G./gcs }
    }
    return @open ? "$open[-1][1]:$open[-1][2]: $open[-1][0] is not closed" : undef;
}

if (!@ARGV) { print STDERR "usage: brackets.pl FILE...\n"; exit 2 }
my $code = 0;
for my $path (@ARGV) {
    my $text;
    if (-d $path or !open my $file, '<:raw', $path) {
        print STDERR "brackets.pl: $path cannot be read\n";
        $code = 2;
        next;
    }
    else { local $/; $text = <$file> }
    my $fault = check(decode('UTF-8', $text // ''));
    my $name = decode('UTF-8', $path);
    print defined $fault ? "$name:$fault\n" : "$name: ok\n";
    $code ||= defined $fault ? 1 : 0;
}
exit $code;
