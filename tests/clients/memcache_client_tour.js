// memcache-client: the text protocol, with promises.
"use strict";

const assert = require("node:assert/strict");
const { MemcacheClient } = require("memcache-client");
const { SIZES_BYTES, TOO_LARGE_BYTES, address, bytes, run, untilGone } = require("./tour.js");

async function setGetDelete(client) {
  assert.equal(await client.get("key"), undefined);
  assert.deepEqual(await client.set("key", "value"), ["STORED"]);
  assert.equal((await client.get("key")).value, "value");
  await assert.rejects(client.add("key", "other"), /NOT_STORED/);
  await client.replace("key", "second");
  await client.append("key", "-end");
  await client.prepend("key", "start-");
  assert.equal((await client.get("key")).value, "start-second-end");
  await client.set("object", { nested: [1, 2.5, null] });
  assert.deepEqual((await client.get("object")).value, { nested: [1, 2.5, null] });
  client.set("key", "quiet", { noreply: true });
  assert.equal((await client.get("key")).value, "quiet");
  assert.deepEqual(await client.delete("key"), ["DELETED"]);
  await assert.rejects(client.delete("key"), /NOT_FOUND/);
}

async function manyKeys(client) {
  const keys = Array.from({ length: 500 }, (_, i) => `many-${i}`);
  await Promise.all(keys.map((key) => client.set(key, `value of ${key}`)));
  const found = await client.get([...keys, "missing"]);
  assert.deepEqual(Object.keys(found), keys);
  assert.ok(keys.every((key) => found[key].value === `value of ${key}`));
}

async function compareAndSwap(client) {
  await client.set("cas", "1");
  const { value, casUniq } = await client.gets("cas");
  assert.equal(value, "1");
  assert.deepEqual(await client.cas("cas", "2", { casUniq }), ["STORED"]);
  await assert.rejects(client.cas("cas", "3", { casUniq }), /EXISTS/);
  assert.equal((await client.get("cas")).value, "2");
}

async function counters(client) {
  await assert.rejects(client.incr("count", 1), /NOT_FOUND/);
  await client.set("count", "10");
  assert.equal(await client.incr("count", 5), "15");
  assert.equal(await client.decr("count", 7), "8");
  assert.equal(await client.decr("count", 100), "0");
  await client.set("word", "word");
  await assert.rejects(client.incr("word", 1), /non-numeric/);
}

async function expiry(client) {
  await client.set("short", "x", { lifetime: 1 });
  await client.set("long", "x", { lifetime: 100 });
  await client.set("touched", "x", { lifetime: 100 });
  assert.deepEqual(await client.touch("touched", 1), ["TOUCHED"]);
  await untilGone(async () => Object.keys(await client.get(["short", "touched"])).length === 0);
  assert.equal((await client.get("long")).value, "x");
}

async function largeValues(client) {
  for (const size of SIZES_BYTES) {
    const value = bytes(size);
    await client.set("large", value);
    assert.ok(value.equals((await client.get("large")).value), `${size} bytes`);
  }
  await assert.rejects(client.set("large", bytes(TOO_LARGE_BYTES)), /too large/);
  await client.set("large", "small");
  assert.equal((await client.get("large")).value, "small");
}

async function admin(client) {
  assert.match((await client.version())[0], /VERSION/);
  assert.ok((await client.cmd("stats")).STAT.length > 10);
  await client.set("flushed", "x");
  assert.deepEqual(await client.cmd("flush_all"), ["OK"]);
  assert.equal(await client.get("flushed"), undefined);
}

const client = new MemcacheClient({ server: { server: address, maxConnections: 3 }, cmdTimeout: 10_000 });
const parts = [setGetDelete, manyKeys, compareAndSwap, counters, expiry, largeValues, admin];
run(client, parts, () => client.shutdown());
