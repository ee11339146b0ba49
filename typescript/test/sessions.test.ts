/** Reads that are under way at once share a stream, and mean what they mean otherwise. */

import assert from "node:assert/strict";
import { EventEmitter, setMaxListeners } from "node:events";
import { mock, test } from "node:test";
import { Client, status } from "@grpc/grpc-js";
import * as sh from "../src/index.js";
import { BUSY, Session, Unsent } from "../src/session.js";
import { rig } from "./rig.js";

const it = rig({ onDisk: true });
const MANY = 32;

/** Writes records, and makes a client that reads them. */
async function written(given: sh.ClientOptions = {}): Promise<sh.Statehouse> {
  const client = it.client(given);
  const keys = Array.from({ length: MANY }, (_, n) => op(n));
  await client.transact(keys);
  return client;
}

const op = (n: number) => sh.op.write("a1", `k${n}`, { n });

/** Reads at once, and returns what the reads that a daemon was asked in sessions are. */
async function reads(client: sh.Statehouse, count = MANY): Promise<void> {
  const read = Array.from({ length: count }, (_, n) =>
    client.getState<{ n: number }>("a1", `k${n % MANY}`),
  );
  const found = await Promise.all(read);
  assert.deepEqual(
    found.map((record) => record?.value.n),
    read.map((_, n) => n % MANY),
  );
}

/** Asks until what is asked for holds: there is no event that says so. */
async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds()));
}

/** Reads that are calls of their own, and sessions that were begun. */
const own = mock.method(Client.prototype, "makeUnaryRequest").mock;
const begun = mock.method(Client.prototype, "makeBidiStreamRequest").mock;

/** How many calls of their own a piece of work makes. */
async function ownCalls(work: () => Promise<unknown>): Promise<number> {
  const before = own.callCount();
  await work();
  return own.callCount() - before;
}

/** What has gone wrong with each. */
async function failures(asked: readonly Promise<unknown>[]): Promise<unknown[]> {
  const settled = await Promise.allSettled(asked);
  return settled.map((one) => (one.status === "rejected" ? one.reason : undefined));
}

/** Ends when what was asked for has been sent. */
async function sent(): Promise<void> {
  await new Promise((done) => setImmediate(() => setImmediate(done)));
}

test("many reads share a stream, and few do not", async () => {
  const client = await written();
  assert.equal(await ownCalls(() => reads(client, BUSY)), BUSY);
  assert.equal(begun.callCount(), 0);
  assert.equal(await ownCalls(() => reads(client)), BUSY);
  assert.equal(await ownCalls(() => reads(client, 3000)), BUSY, "more than may be under way");
  assert.equal(await ownCalls(() => reads(client.withOptions({}))), BUSY);
  const sessions = begun.callCount();
  await until(async () => (await client.status()).sessions === 0n); // which nobody uses any more
  assert.equal(await ownCalls(() => reads(client)), BUSY);
  assert.equal(begun.callCount(), sessions + 1);
  const without = await written({ sessions: false });
  assert.equal(await ownCalls(() => reads(without)), MANY);
  assert.equal(begun.callCount(), sessions + 1);
});

test("what is refused in a session is refused as it is otherwise", async () => {
  const fails = async (client: sh.Statehouse) => {
    const asked = Array.from({ length: MANY }, () => [
      client.getTransaction("no-such-id"),
      client.getStateAtVersion("a1", "k1", 99),
      client.listKeys("a1", { at: 1n << 60n }),
      client.getState("a1", "k1"),
    ]);
    const settled = await Promise.allSettled(asked.flat());
    return settled.map((one) => {
      if (one.status === "fulfilled") return [one.value && "value" in one.value ? "a record" : one];
      const { name, code, reason, details, answered } = one.reason as sh.StatehouseError;
      return [name, code, reason.replaceAll(/\d+/g, "N"), Object.keys(details).sort(), answered];
    });
  };
  const shared = await written();
  const without = await written({ sessions: false });
  let told: unknown[] = [];
  const calls = await ownCalls(async () => {
    told = await fails(shared);
  });
  assert.equal(calls, BUSY);
  assert.deepEqual(told, await fails(without));
  assert.ok(JSON.stringify(told).includes("VERSION_NOT_FOUND"));
});

test("a request that is too large for a session is a call of its own", async () => {
  const client = await written();
  const long = Array.from({ length: 40 }, (_, n) => `${"x".repeat(500)}${n}`);
  const calls = await ownCalls(() =>
    Promise.all(Array.from({ length: MANY }, () => client.getMany("a1", long))),
  );
  assert.equal(calls, MANY);
});

test("a read is given up by its signal, and the others are answered", async () => {
  const client = await written();
  await reads(client);
  it.daemon.pause();
  const given = new AbortController();
  setMaxListeners(MANY, given.signal);
  const up = Array.from({ length: MANY }, () =>
    client.getState("a1", "k1", { signal: given.signal }),
  );
  const others = reads(client);
  await sent();
  given.abort(new Error("enough"));
  for (const failed of await failures(up)) assert.match(String(failed), /enough/);
  it.daemon.resume();
  await others;
  const aborted = AbortSignal.abort(new Error("before"));
  const never = Array.from({ length: MANY }, () =>
    client.getState("a1", "k1", { signal: aborted }),
  );
  for (const failed of await failures(never)) assert.match(String(failed), /before/);
  await reads(client);
});

test("a read in a session has a deadline", async () => {
  const client = await written();
  await reads(client);
  it.daemon.pause();
  // More than may be under way, unless those that are given up make room.
  const late = Array.from({ length: 300 }, () => client.getState("a1", "k1", { timeoutMs: 100 }));
  for (const failed of await failures(late)) assert.ok(failed instanceof sh.DeadlineExceeded);
  it.daemon.resume();
  await reads(client, 1000); // they have left no request behind
});

test("reads that a session took along are asked again", async () => {
  const client = await written();
  await reads(client);
  it.daemon.pause();
  const asked = reads(client, 300);
  await sent();
  await it.daemon.restart();
  await asked;
  assert.equal(await ownCalls(() => reads(client)), BUSY, "the others again in a session");
});

test("to a daemon that knows no sessions reads are calls of their own", async () => {
  const namespace = it.fresh();
  await written({ namespace });
  const { client } = await it.through({ namespace });
  const before = begun.callCount();
  await reads(client);
  assert.equal(await ownCalls(() => reads(client)), 2 * MANY, "theirs, and the gateway's");
  assert.equal(begun.callCount(), before + 1, "which is not tried again");
});

test("closing ends what is under way in a session", async () => {
  const client = await written();
  await reads(client);
  it.daemon.pause();
  const asked = Array.from({ length: MANY }, () => client.getState("a1", "k1"));
  await sent();
  client.close();
  for (const failed of await failures(asked)) assert.match(String(failed), /client was closed/);
  it.daemon.resume();
});

test("no more is under way than the daemon wants, and what was not sent is known not to be", async () => {
  const frames: { requests: { id: bigint; cancel: boolean }[] }[] = [];
  const stream = Object.assign(new EventEmitter(), {
    write: (frame: (typeof frames)[0]) => frames.push(frame),
    end() {},
  });
  const written = () => frames.flatMap(({ requests }) => requests);
  const answer = (window: number, ...ids: bigint[]) =>
    stream.emit("data", {
      window,
      answers: ids.map((id) => ({ id, answer: new Uint8Array(), status: new Uint8Array() })),
    });
  const session = new Session(stream as never);
  const asked = Array.from({ length: 400 }, () => {
    return session.ask("GetState", new Uint8Array(), Number.POSITIVE_INFINITY);
  });
  for (const one of asked) one.answer.catch(() => {}); // looked at below
  await sent();
  assert.equal(written().length, 256);
  assert.ok(frames.every(({ requests }) => requests.length <= 64));
  answer(2, ...written().map(({ id }) => id)); // of so many it is to have two
  await sent();
  assert.equal(written().length, 258);
  assert.deepEqual([asked[256]?.giveUp(), asked[399]?.giveUp()], [true, false]);
  await sent();
  assert.equal(written().at(-2)?.cancel, true);
  assert.equal(written().length, 260, "it made room for another");
  stream.emit("error", { code: status.UNAVAILABLE, details: "gone" });
  await assert.rejects(session.ask("GetState", new Uint8Array(), 1).answer, Unsent);
  stream.emit("error", { code: status.UNIMPLEMENTED, details: "late" }); // says nothing any more
  assert.equal(session.unknown, false);
  asked.splice(256, 1);
  asked.splice(398, 1);
  const failed = await Promise.all(
    asked.map(({ answer }) =>
      answer.then(
        () => "answered",
        (error) => error,
      ),
    ),
  );
  const count = (kind: (one: unknown) => boolean) => failed.filter(kind).length;
  assert.equal(
    count((one) => one === "answered"),
    256,
  );
  assert.equal(
    count((one) => (one as { code?: number }).code === status.UNAVAILABLE),
    2,
  );
  assert.equal(
    count((one) => one instanceof Unsent),
    140,
  );
});

test("what a daemon that knows no sessions was sent is taken for unsent", async () => {
  const stream = Object.assign(new EventEmitter(), { write() {}, end() {} });
  const session = new Session(stream as never);
  const { answer } = session.ask("GetState", new Uint8Array(), 1000);
  const rejected = assert.rejects(answer, Unsent);
  await sent();
  stream.emit("error", { code: status.UNIMPLEMENTED, details: "unknown method" });
  await rejected;
  assert.equal(session.unknown, true);
});
