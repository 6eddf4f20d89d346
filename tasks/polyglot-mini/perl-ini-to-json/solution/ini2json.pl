use strict;
use warnings;
use utf8;
use JSON::PP;
use open qw(:std :encoding(UTF-8));

my (%top, %owner);
my $place = \%top;

sub fail { print STDERR "ini2json: line $.: $_[0]\n"; exit 1 }

sub value {
    my ($text) = @_;
    if ($text =~ /^"/) {
        $text =~ /^"((?:[^"\\]|\\["\\])*)"$/ or fail("bad quotes");
        (my $inner = $1) =~ s/\\(["\\])/$1/g;
        return "$inner";
    }
    return $text eq 'true' ? JSON::PP::true : JSON::PP::false if $text =~ /^(true|false)$/;
    return Math::BigInt->new($text) if $text =~ /^(0|-?[1-9][0-9]*)$/;
    return "$text";
}

require Math::BigInt;
my @lines = <>;
$. = 0;
for my $line (@lines) {
    $.++;
    $line =~ s/^\s+|\s+$//g;
    next if $line eq '' or $line =~ /^[;#]/;
    if ($line =~ /^\[(.*)\]$/) {
        $place = \%top;
        my @parts = map { s/^\s+|\s+$//gr } split /\./, $1, -1;
        fail("empty section name") if !@parts or grep { $_ eq '' } @parts;
        for my $name (@parts) {
            $place->{$name} = {} unless exists $place->{$name};
            fail("$name is a key") if ref $place->{$name} ne 'HASH';
            $place = $place->{$name};
        }
    }
    elsif ($line =~ /^([^=]*?)\s*=\s*(.*)$/ and $1 ne '') {
        my ($key, $value) = ($1, value($2));
        if (!exists $place->{$key}) { $place->{$key} = $value }
        elsif (ref $place->{$key} eq 'HASH') { fail("$key is a section") }
        elsif (ref $place->{$key} eq 'ARRAY') { push @{ $place->{$key} }, $value }
        else { $place->{$key} = [ $place->{$key}, $value ] }
    }
    else { fail("neither section nor key") }
}
print JSON::PP->new->canonical->allow_bignum->encode(\%top), "\n";
