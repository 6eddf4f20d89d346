use strict;
use warnings;

sub usage { print STDERR "usage: fill.pl TEMPLATE KEY=VALUE...\n"; exit 2 }

my $path = shift @ARGV;
usage() unless defined $path;
my %given;
for my $pair (@ARGV) {
    $pair =~ /^([A-Za-z0-9_-]+)=(.*)$/s or usage();
    $given{$1} = $2;
}
open my $file, '<:raw', $path or do { print STDERR "fill.pl: $path: $!\n"; exit 2 };
my $text = do { local $/; <$file> } // '';

sub escaped {
    my ($value) = @_;
    my %entity = ('&' => '&amp;', '<' => '&lt;', '>' => '&gt;', '"' => '&quot;');
    $value =~ s/([&<>"])/$entity{$1}/g;
    return $value;
}

my ($out, @open) = ('');    # open blocks: [key, shown, line]
my $key = qr/[ \t]*([A-Za-z0-9_-]+)[ \t]*/;

sub line { return 1 + (substr($text, 0, $_[0]) =~ tr/\n//) }
sub fail { my ($at, $why) = @_; print STDERR "fill.pl: line ", line($at), ": $why\n"; exit 1 }
sub shown { return !grep { !$_->[1] } @open }

while (pos($text) // 0 < length $text) {
    my $at = pos($text) // 0;
    last if $at >= length $text;
    my $alone = $at == 0 || substr($text, $at - 1, 1) eq "\n";
    if ($alone and $text =~ /\G[ \t]*\{\{([#^\/])$key\}\}[ \t]*(?:\r?\n|\z)/gc) { block($1, $2, $at) }
    elsif ($text =~ /\G\\\{\{/gc) { $out .= '{{' if shown() }
    elsif ($text =~ /\G\{\{([#^\/])$key\}\}/gc) { block($1, $2, $at) }
    elsif ($text =~ /\G\{\{\{$key(?:\|((?:(?!\}\}\}).)*))?\}\}\}/gcs) { put($1, $2, $at, 0) }
    elsif ($text =~ /\G\{\{$key(?:\|((?:(?!\}\}).)*))?\}\}/gcs) { put($1, $2, $at, 1) }
    elsif ($text =~ /\G\{\{/gc) { fail($at, 'malformed mark') }
    elsif ($text =~ /\G([^\\{\n]+|.)/gcs) { $out .= $1 if shown() }
}
fail($open[-1][2], "{{#$open[-1][0]}} is not closed") if @open;
print $out;

sub block {
    my ($kind, $name, $at) = @_;
    if ($kind eq '/') {
        fail($at, "{{/$name}} closes nothing") if !@open or $open[-1][0] ne $name;
        pop @open;
        return;
    }
    my $true = defined $given{$name} && $given{$name} ne '' && $given{$name} ne '0';
    push @open, [ $name, ($kind eq '#') == $true, $at ];
}

sub put {
    my ($name, $default, $at, $escape) = @_;
    return unless shown();
    if (defined $given{$name}) { $out .= $escape ? escaped($given{$name}) : $given{$name} }
    elsif (defined $default) { $out .= $default }
    else { fail($at, "no value for $name") }
}
