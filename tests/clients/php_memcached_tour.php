<?php
// php-memcached (libmemcached). Second argument: text or binary. Further ones: user and password.
declare(strict_types=1);

const TTL_PATIENCE_S = 5;
[, $port, $protocol] = $argv;
$binary = ['text' => false, 'binary' => true][$protocol];

function check(bool $holds): void
{
    $holds || throw new Exception('failed at line ' . debug_backtrace()[0]['line']);
}

function connect(int $port, array $options): Memcached
{
    $client = new Memcached();
    check($client->setOptions($options + [
        Memcached::OPT_COMPRESSION => false,
        Memcached::OPT_CONNECT_TIMEOUT => 10_000,
        Memcached::OPT_POLL_TIMEOUT => 10_000,
        Memcached::OPT_TCP_NODELAY => true,
    ]));
    if (isset($GLOBALS['argv'][3])) {
        $client->setSaslAuthData($GLOBALS['argv'][3], $GLOBALS['argv'][4]);
    }
    check($client->addServer('127.0.0.1', $port));
    return $client;
}

function set_get_delete(Memcached $client): void
{
    check($client->get('key') === false);
    $client->getResultCode() === Memcached::RES_NOTFOUND || throw new Exception($client->getResultMessage());
    check($client->set('key', 'value') && $client->get('key') === 'value');
    check(!$client->add('key', 'other'));
    check($client->replace('key', 'second') && !$client->replace('missing', 'second'));
    check($client->append('key', '-end') && $client->prepend('key', 'start-'));
    check($client->get('key') === 'start-second-end');
    check($client->set('object', ['serialised' => [1, 2.5, null]]));
    check($client->get('object') === ['serialised' => [1, 2.5, null]]);
    check($client->delete('key') && !$client->delete('key'));
}

function many_keys(Memcached $client): void
{
    $values = [];
    for ($i = 0; $i < 500; $i++) {
        $values["many-$i"] = "value $i";
    }
    check($client->setMulti($values));
    check($client->getMulti([...array_keys($values), 'missing'], Memcached::GET_PRESERVE_ORDER)
        === $values + ['missing' => null]);
    check($client->getDelayed(array_keys($values), true));
    $found = $client->fetchAll();
    check(count($found) === 500 && $found[0]['cas'] > 0);
    $gone = $client->deleteMulti([...array_keys($values), 'missing']);
    check($gone['many-7'] === true && $gone['missing'] === Memcached::RES_NOTFOUND);
}

function compare_and_swap(Memcached $client): void
{
    check($client->set('cas', '1'));
    ['value' => $value, 'cas' => $unique] = $client->get('cas', null, Memcached::GET_EXTENDED);
    check($value === '1');
    check($client->cas($unique, 'cas', '2') && !$client->cas($unique, 'cas', '3'));
    check($client->getResultCode() === Memcached::RES_DATA_EXISTS);
    check($client->get('cas') === '2');
}

function counters(Memcached $client, bool $binary): void
{
    check($client->increment('count') === false);
    if ($binary) { // Only there may an increment say what a missing counter begins with.
        check($client->increment('born', 1, 10, 100) === 10);
    }
    check($client->set('count', 10));
    check($client->increment('count', 5) === 15);
    check($client->decrement('count', 7) === 8);
    check($client->decrement('count', 100) === 0);
}

function expiry(Memcached $client): void
{
    check($client->set('short', 'x', 1) && $client->set('long', 'x', 100) && $client->set('touched', 'x', 100));
    check($client->touch('touched', 1) && !$client->touch('missing', 100));
    $deadline = microtime(true) + TTL_PATIENCE_S;
    while ($client->getMulti(['short', 'touched']) !== []) {
        check(microtime(true) < $deadline);
        usleep(20_000);
    }
    check($client->get('long') === 'x');
}

function large_values(Memcached $client): void
{
    foreach ([0, 1, 1000, 16_384, 100_000, 1_000_000] as $size) {
        $value = $size > 0 ? random_bytes($size) : '';
        check($client->set('large', $value) && $client->get('large') === $value);
    }
    check(!$client->set('large', random_bytes(2 << 20)));
    check($client->getResultCode() === Memcached::RES_E2BIG);
    check($client->set('large', 'small') && $client->get('large') === 'small');
}

function admin(Memcached $client, int $port): void
{
    check(count($client->getVersion()) === 1);
    check($client->getStats()["127.0.0.1:$port"]['get_hits'] > 0);
    check($client->set('flushed', 'x') && $client->flush() && $client->get('flushed') === false);
}

$kinds = [
    [],
    [Memcached::OPT_NO_BLOCK => true, Memcached::OPT_DISTRIBUTION => Memcached::DISTRIBUTION_CONSISTENT],
    [Memcached::OPT_PREFIX_KEY => 'site-'],
];
foreach ($kinds as $options) {
    $client = connect((int) $port, $options + [Memcached::OPT_BINARY_PROTOCOL => $binary]);
    set_get_delete($client);
    many_keys($client);
    compare_and_swap($client);
    counters($client, $binary);
    large_values($client);
    admin($client, (int) $port);
}
expiry($client); // It waits, so once is enough.
$client->quit();
echo "all passed\n";
