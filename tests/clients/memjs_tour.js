// memjs: the binary protocol. It has no compare-and-swap and no multi-get of its own: gets run together. Further arguments: user and
// password.
"use strict";

const assert = require("node:assert/strict");
const memjs = require("memjs");
const { SIZES_BYTES, TOO_LARGE_BYTES, address, bytes, run, untilGone } = require("./tour.js");

async function setGetDelete(client) {
  assert.deepEqual(await client.get("key"), { value: null, flags: null });
  assert.equal(await client.set("key", "value", {}), true);
  assert.equal(String((await client.get("key")).value), "value");
  assert.equal(await client.add("key", "other", {}), false);
  assert.equal(await client.replace("key", "second", {}), true);
  assert.equal(await client.replace("missing", "second", {}), false);
  assert.equal(await client.append("key", "-end"), true);
  // Its prepend sends an append.
  await assert.rejects(client.append("missing", "-end"), /not stored/);
  assert.equal(String((await client.get("key")).value), "second-end");
  assert.equal(await client.delete("key"), true);
  assert.equal(await client.delete("key"), false);
}

async function manyKeys(client) {
  const keys = Array.from({ length: 500 }, (_, i) => `many-${i}`);
  await Promise.all(keys.map((key) => client.set(key, `value of ${key}`, {})));
  const found = await Promise.all(keys.map((key) => client.get(key)));
  assert.ok(keys.every((key, i) => String(found[i].value) === `value of ${key}`));
}

async function counters(client) {
  assert.equal((await client.increment("count", 1, { initial: 10 })).value, 10);
  assert.equal((await client.increment("count", 5, {})).value, 15);
  assert.equal((await client.decrement("count", 7, {})).value, 8);
  assert.equal((await client.decrement("count", 100, {})).value, 0);
  await client.set("word", "word", {});
  await assert.rejects(client.increment("word", 1, {}), /non.numeric|MemJS/i);
}

async function expiry(client) {
  await client.set("short", "x", { expires: 1 });
  await client.set("long", "x", { expires: 100 });
  await client.set("touched", "x", { expires: 100 });
  assert.equal(await client.touch("touched", 1), true);
  assert.equal(await client.touch("missing", 100), false);
  for (const key of ["short", "touched"]) {
    await untilGone(async () => (await client.get(key)).value === null);
  }
  assert.equal(String((await client.get("long")).value), "x");
}

async function largeValues(client) {
  for (const size of SIZES_BYTES) {
    const value = bytes(size);
    await client.set("large", value, {});
    assert.ok(value.equals((await client.get("large")).value), `${size} bytes`);
  }
  await assert.rejects(client.set("large", bytes(TOO_LARGE_BYTES), {}));
  await client.set("large", "small", {});
  assert.equal(String((await client.get("large")).value), "small");
}

async function admin(client) {
  const stats = await new Promise((done, fail) => client.stats((e, _server, found) => (e ? fail(e) : done(found))));
  assert.ok(Number(stats.get_hits) > 0);
  await client.set("flushed", "x", {});
  await client.flush();
  assert.equal((await client.get("flushed")).value, null);
}

const [, , , username, password] = process.argv;
const client = memjs.Client.create(address, { username, password, timeout: 10, conntimeout: 10, retries: 1 });
run(client, [setGetDelete, manyKeys, counters, expiry, largeValues, admin], () => client.close());
