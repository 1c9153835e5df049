// What the tours in JavaScript share. Each takes the server's port as its first argument, on 127.0.0.1; the packages
// are found through NODE_PATH.
"use strict";

const assert = require("node:assert/strict");
const crypto = require("node:crypto");
const { setTimeout: sleep } = require("node:timers/promises");

// How long an item with a TTL of 1 s may be seen.
const TTL_PATIENCE_MS = 5000;
const POLL_MS = 20;

exports.address = `127.0.0.1:${process.argv[2]}`;
// Values a client writes in one piece and in many; the last is near the server's limit of 1 MiB for an item.
exports.SIZES_BYTES = [1, 1000, 16_384, 100_000, 1_000_000];
exports.TOO_LARGE_BYTES = 2 << 20;
exports.bytes = (size) => crypto.randomBytes(size);
exports.text = (size) => crypto.randomBytes(Math.ceil(size / 2)).toString("hex").slice(0, size);

exports.untilGone = async (isGone) => {
  const deadline = Date.now() + TTL_PATIENCE_MS;
  while (!(await isGone())) {
    assert.ok(Date.now() < deadline, `a TTL of 1 s lasted ${TTL_PATIENCE_MS} ms`);
    await sleep(POLL_MS);
  }
};

// Runs the parts in order; a failure in any of them, or outside, ends the program with its trace.
exports.run = async (client, parts, end) => {
  for (const part of parts) {
    await part(client);
  }
  await end();
  console.log("all passed");
  // A client may keep a timer for a server it has given up.
  process.exit(0);
};
