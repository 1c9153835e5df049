// memcached: the text protocol, with callbacks.
"use strict";

const assert = require("node:assert/strict");
const { promisify } = require("node:util");
const Memcached = require("memcached");
const { SIZES_BYTES, TOO_LARGE_BYTES, address, bytes, run, text, untilGone } = require("./tour.js");

const connect = () => new Memcached(address, { maxValue: 4 << 20, timeout: 10_000 });
const memcached = connect();
const ask = (method, ...args) => promisify(memcached[method]).apply(memcached, args);

async function setGetDelete() {
  assert.equal(await ask("get", "key"), undefined);
  assert.equal(await ask("set", "key", "value", 0), true);
  assert.equal(await ask("get", "key"), "value");
  await assert.rejects(ask("add", "key", "other", 0), /not stored/);
  assert.equal(await ask("replace", "key", "second", 0), true);
  assert.equal(await ask("append", "key", "-end"), true);
  assert.equal(await ask("prepend", "key", "start-"), true);
  assert.equal(await ask("get", "key"), "start-second-end");
  await ask("set", "object", { nested: [1, 2.5, null] }, 0);
  assert.deepEqual(await ask("get", "object"), { nested: [1, 2.5, null] });
  assert.equal(await ask("del", "key"), true);
  assert.equal(await ask("del", "key"), false);
}

async function manyKeys() {
  const keys = Array.from({ length: 500 }, (_, i) => `many-${i}`);
  await Promise.all(keys.map((key) => ask("set", key, `value of ${key}`, 0)));
  const found = await ask("getMulti", [...keys, "missing"]);
  assert.deepEqual(found, Object.fromEntries(keys.map((key) => [key, `value of ${key}`])));
}

async function compareAndSwap() {
  await ask("set", "swapped", "1", 0);
  const item = await ask("gets", "swapped");
  assert.equal(item.swapped, "1");
  assert.equal(await ask("cas", "swapped", "2", item.cas, 0), true);
  assert.equal(await ask("cas", "swapped", "3", item.cas, 0), false);
  assert.equal(await ask("get", "swapped"), "2");
}

async function counters() {
  assert.equal(await ask("incr", "count", 1), false);
  await ask("set", "count", 10, 0);
  assert.equal(await ask("incr", "count", 5), 15);
  assert.equal(await ask("decr", "count", 7), 8);
  assert.equal(await ask("decr", "count", 100), 0);
  await ask("set", "word", "word", 0);
  await assert.rejects(ask("incr", "word", 1), /non-numeric/);
}

async function expiry() {
  await ask("set", "short", "x", 1);
  await ask("set", "long", "x", 100);
  await ask("set", "touched", "x", 100);
  assert.equal(await ask("touch", "touched", 1), true);
  await untilGone(async () => Object.keys(await ask("getMulti", ["short", "touched"])).length === 0);
  assert.equal(await ask("get", "long"), "x");
}

async function largeValues() {
  for (const size of SIZES_BYTES) {
    // A byte above 0x7f travels as two.
    const [asText, asBytes] = [text(size), bytes(Math.ceil(size / 2))];
    await ask("set", "text", asText, 0);
    assert.equal(await ask("get", "text"), asText);
    await ask("set", "bytes", asBytes, 0);
    assert.ok(asBytes.equals(await ask("get", "bytes")), `${size} bytes`);
  }
  // A client that hears SERVER_ERROR stays away from the server for a while.
  const other = connect();
  assert.equal(await promisify(other.set).call(other, "large", text(TOO_LARGE_BYTES), 0), false);
  other.end();
  assert.equal(await ask("get", "large"), undefined);
}

async function admin() {
  assert.ok((await ask("version"))[0].version);
  assert.ok((await ask("stats"))[0].get_hits > 0);
  assert.ok((await ask("settings"))[0].maxbytes > 0);
  assert.ok(Object.keys((await ask("slabs"))[0]).length > 0);
  assert.ok(Object.keys((await ask("items"))[0]).length > 0);
  await ask("set", "flushed", "x", 0);
  assert.deepEqual(await ask("flush"), [true]);
  assert.equal(await ask("get", "flushed"), undefined);
}

const parts = [setGetDelete, manyKeys, compareAndSwap, counters, expiry, largeValues, admin];
run(memcached, parts, () => memcached.end());
