# Cache::Memcached::Fast: the text protocol, from C.
use strict;
use warnings;
use Cache::Memcached::Fast;
use Time::HiRes qw(sleep time);

my $TTL_PATIENCE_S = 5;
my $port = shift or die "usage: $0 PORT\n";
my $client = Cache::Memcached::Fast->new({
    servers    => ["127.0.0.1:$port"],
    io_timeout => 10,
    max_size   => 4 << 20,
});

sub check {
    my ($what) = @_;
    my (undef, undef, $line) = caller;
    die "failed at line $line\n" unless $what;
}

sub value_of { join '', map { chr(int rand 256) } 1 .. shift }

# set, get, delete
check(!defined $client->get('key'));
check($client->set('key', 'value'));
check($client->get('key') eq 'value');
check(!$client->add('key', 'other'));
check($client->replace('key', 'second'));
check(!$client->replace('missing', 'second'));
check($client->append('key', '-end') && $client->prepend('key', 'start-'));
check($client->get('key') eq 'start-second-end');
check($client->set('object', { stored => [1, 2.5, undef] }));
check($client->get('object')->{stored}[1] == 2.5);
check($client->delete('key'));
check(!$client->delete('key'));

# many keys
my %values = map { ("many-$_" => "value $_") } 0 .. 499;
my $stored = $client->set_multi(map { [$_ => $values{$_}] } keys %values);
check(!grep { !$_ } values %$stored);
my $found = $client->get_multi(keys %values, 'missing');
check(keys %$found == 500);
check(!grep { $found->{$_} ne $values{$_} } keys %values);
my $touched = $client->gat_multi(100, map { "many-$_" } 0 .. 49);
check(keys %$touched == 50);
my $gone = $client->delete_multi(keys %values);
check(!grep { !$_ } values %$gone);

# No answer is asked for in void context: noreply. What follows waits for it all.
$client->set("quiet-$_", 'x') for 1 .. 100;
$client->nowait_push;
check($client->get('quiet-100') eq 'x');

# compare and swap
check($client->set('cas', '1'));
my $item = $client->gets('cas');
check($item->[1] eq '1');
check($client->cas('cas', $item->[0], '2'));
check(!$client->cas('cas', $item->[0], '3'));
check($client->get('cas') eq '2');

# counters
check(!$client->incr('count', 1));
check($client->set('count', 10));
check($client->incr('count', 5) == 15);
check($client->decr('count', 7) == 8);
check($client->decr('count', 100) == 0);

# expiry
check($client->set('short', 'x', 1) && $client->set('long', 'x', 100) && $client->set('touched', 'x', 100));
check($client->touch('touched', 1));
my $deadline = time + $TTL_PATIENCE_S;
while (keys %{ $client->get_multi('short', 'touched') }) {
    die "a TTL of 1 s lasted $TTL_PATIENCE_S s\n" if time > $deadline;
    sleep 0.02;
}
check($client->get('long') eq 'x');

# large values
for my $size (0, 1, 1000, 16_384, 100_000, 1_000_000) {
    my $value = value_of($size);
    check($client->set('large', $value));
    check($client->get('large') eq $value);
}
check(!$client->set('large', value_of(2 << 20)));
check($client->set('large', 'small') && $client->get('large') eq 'small');

# the server itself
check((values %{ $client->server_versions })[0]);
check($client->set('flushed', 'x'));
$client->flush_all;
check(!defined $client->get('flushed'));

print "all passed\n";
