/** What is used in a way that cannot work is told at once, and by name. */

import assert from "node:assert/strict";
import { test } from "node:test";
import * as sh from "../src/index.js";
import { rig } from "./rig.js";

const { F, not, op, when } = sh;
const it = rig();

/** Refused for its value, at a place. */
async function value(given: unknown, said: RegExp) {
  const client = it.client();
  await assert.rejects(
    async () => client.write("a", "k", given as sh.JsonObject),
    (error: sh.InvalidArgument) => {
      assert.ok(
        error instanceof sh.InvalidArgument && error instanceof sh.UsageError,
        String(error),
      );
      assert.equal(error.details.field, "value");
      return said.test(error.message);
    },
  );
  assert.equal(await client.getState("a", "k"), null);
}

test("values that JSON cannot carry are refused, with their place", async () => {
  const circular: { self?: unknown } = {};
  circular.self = circular;
  let deep: sh.JsonObject = {};
  for (let level = 0; level < 28; level++) deep = { deep };
  class Point {
    x = 1;
  }
  await value([1], /a value is an object, or bytes, not an array/);
  await value("text", /not a string: put it under a key/);
  await value(null, /not null/);
  await value({ price: Number.NaN }, /value\["price"\] is NaN/);
  await value({ list: [1, [undefined]] }, /value\["list"\]\[1\]\[0\] is undefined/);
  await value({ when: new Date() }, /write \.toISOString\(\)/);
  await value({ data: new Uint8Array(1) }, /a value may be bytes/);
  await value({ at: new Point() }, /a Point, which is not JSON/);
  await value({ map: new Map() }, /Object\.fromEntries/);
  await value({ f: () => 1 }, /a function, which is not JSON/);
  await value({ p: Promise.resolve() }, /await it/);
  await value({ s: "\ud800" }, /half a surrogate pair/);
  await value({ "\udc00": 1 }, /a key of value/);
  await value({ n: 2n ** 1024n }, /beyond 1\.8e308/);
  await value(circular, /nested too deep, or contains itself/);
  await value(deep, /nested too deep/);
});

test("a value of 28 levels, and the largest integer, are taken", async () => {
  const client = it.client();
  let deep: sh.JsonObject = {};
  for (let level = 0; level < 27; level++) deep = { deep };
  await client.write("a", "k", deep);
  const most = 2n ** 1024n - 2n ** 970n - 1n;
  await client.write("a", "most", { most, least: -most });
  assert.deepEqual((await client.getState("a", "most"))?.value, { most, least: -most });
});

test("arguments of a wrong kind are refused before anything is sent", async () => {
  const { gateway, client } = await it.through();
  // biome-ignore lint/suspicious/noExplicitAny: it is misused
  const any: any = client;
  const refused = async (call: () => unknown, said: RegExp) =>
    assert.rejects(
      async () => call(),
      (error: sh.InvalidArgument) => {
        assert.ok(error instanceof sh.InvalidArgument, String(error));
        assert.match(error.message, said);
        return true;
      },
    );
  await refused(() => any.getState("a"), /key must be a string, not undefined/);
  await refused(() => any.getState(1, "k"), /agentId must be a string, not 1/);
  await refused(
    () => any.getState("a", "k", { as_of: 1 }),
    /there is no option as_of: there are .*at/,
  );
  await refused(() => any.getState("a", "k", { at: "yesterday" }), /is not a time in ISO 8601/);
  await refused(() => any.getState("a", "k", { at: "2026-01-01T00:00:00" }), /has no time zone/);
  await refused(() => any.getState("a", "k", { at: new Date("x") }), /an invalid Date/);
  await refused(() => any.getState("a", "k", { at: {} }), /a point is a commitTs/);
  await refused(() => any.getState("a", "k", { namespace: "" }), /namespace is empty/);
  await refused(() => any.getState("a", "k", { signal: {} }), /must be an AbortSignal/);
  await refused(
    () => any.write("a", "k", {}, { expected_version: 1 }),
    /no option expected_version/,
  );
  await refused(
    () => any.write("a", "k", {}, { expectedVersion: "1" }),
    /must be a whole number or a bigint/,
  );
  await refused(() => any.write("a", "k", {}, { expectedVersion: -1 }), /from 0 to 2\^64 - 1/);
  await refused(() => any.write("a", "k", {}, { expectedVersion: 2 ** 60 }), /write a bigint/);
  await refused(
    () => any.write("a", "k", {}, { ttlMs: 0 }),
    /ttlMs must be a number of milliseconds/,
  );
  await refused(() => any.write("a", "k", {}, { contentType: "x/y" }), /contentType is of bytes/);
  await refused(() => any.write("a", "k", {}, { dueAt: new Date(), dueInMs: 1 }), /say the same/);
  await refused(() => any.write("a", "k", {}, { metadata: { n: 1 } }), /maps strings to strings/);
  await refused(
    () => any.write("a", "k", {}, { metadata: new Map() }),
    /an object from string to string/,
  );
  await refused(
    () => any.write("a", "k", {}, { leases: [1] }),
    /leases are what client\.lease\(\) gives/,
  );
  await refused(() => any.delete("a", "k", 3), /options are an object/);
  await refused(() => any.transact(op.write("a", "k", {})), /operations must be an array/);
  await refused(() => any.transact([{}]), /operations are what op\.write/);
  await refused(
    () => any.transact([], { preconditions: [{}] }),
    /preconditions are what when\.key/,
  );
  await refused(() => any.transact([], { preconditions: [when.key("a", "", 1)] }), /key is empty/);
  await refused(() => any.increment("a", "k", "/n", "1"), /delta must be a finite number/);
  await refused(() => any.restore("a"), /say which moment's state/);
  await refused(() => any.getMany("a", "key"), /keys must be an array/);
  await refused(() => any.listKeys("a", { delimiter: "" }), /the delimiter is empty/);
  await refused(() => any.listKeys("a", { limit: 1.5 }), /limit must be a whole number/);
  await refused(() => any.replay(undefined), /agentId must be a string/);
  await refused(() => any.watch("a", { after: "x" }), /after must be/);
  await refused(() => any.find("a", { where: "x" }), /where must be an array/);
  await refused(() => any.find("a", { where: [1] }), /conditions are such as F/);
  await refused(() => any.find("a", { order: "x" }), /order is "key" or "changed"/);
  await refused(() => F("status"), /write "\/status"/);
  await refused(() => F.meta(""), /the key is empty/);
  await refused(() => not(true as never), /takes a condition/);
  await refused(() => any.runTransaction("x"), /takes a function/);
  await refused(() => any.beginTransaction({ timeoutMs: -1 }), /timeoutMs must be/);
  await refused(() => any.lease("a", "l", { ttl: 1 }), /no option ttl/);
  // What is to be awaited rejects, and does not throw; an iterator throws before it is iterated over.
  await any.delete("a", "k", 3).catch(() => {});
  await any.write("a", "k", {}, 3).catch(() => {});
  await any.listAgents({ prefx: "" }).catch(() => {});
  assert.throws(() => any.diff("a", "b", { to: {} }), sh.InvalidArgument);
  assert.throws(() => any.watch("a", { after: "x" }), sh.InvalidArgument);
  assert.deepEqual(gateway.seen, []);
});

test("what the daemon refuses comes with its field", async () => {
  const client = it.client();
  await assert.rejects(client.write("a", "k".repeat(2000), {}), (error: sh.InvalidArgument) => {
    return error instanceof sh.InvalidArgument && error.answered && error.details.field === "key";
  });
  await assert.rejects(client.write("a", "k", { big: "x".repeat(2 << 20) }), sh.StatehouseError);
  await assert.rejects(client.transact([], {}), sh.InvalidArgument);
});

test("errors say what to do, and are what a program asks for", async () => {
  const client = it.client();
  await client.write("a", "k", {});
  const error: unknown = await client.write("a", "k", {}, { expectedVersion: 7 }).catch((e) => e);
  assert.ok(error instanceof sh.PreconditionFailed);
  assert.match(error.message, /Read it again, decide, and expect the version you have read$/);
  assert.ok(!error.reason.includes("Read it again"));
  assert.equal(Object.prototype.toString.call(error), "[object Error]");
});

test("a client made of another shares its connection and is not closed itself", async () => {
  const client = it.client();
  const other = client.withOptions({ namespace: it.fresh() });
  await other.write("a", "k", {});
  assert.equal(await client.getState("a", "k"), null);
  assert.throws(() => other.close(), sh.UsageError);
  await assert.rejects(
    async () => client.withOptions({ address: "x" } as never),
    /no option address/,
  );
});

test("metadata is an object", async () => {
  for (const metadata of [null, "text", 1, []] as never[]) {
    await assert.rejects(
      it.client().write("a", "k", {}, { metadata }),
      (error: sh.StatehouseError) => {
        return error instanceof sh.InvalidArgument && error.details.field === "metadata";
      },
    );
  }
});
