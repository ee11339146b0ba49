/** Deleting, pruning and copying threads. What is kept and dropped is what the Python SDK's saver does. */

import * as check from "../check.js";
import { PreconditionFailed, ResourceExhausted, UsageError } from "../errors.js";
import { F } from "../filters.js";
import { type AnyOperation, op, when } from "../operations.js";
import { collect } from "../pages.js";
import type { StateRecord } from "../types.js";
import {
  type Body,
  DELETED,
  isCheckpoint,
  numberAt,
  type Saved,
  saved,
  type Thread,
  unquoted,
  valueKeys,
  wholeKey,
} from "./layout.js";
import { threads } from "./listing.js";
import type { Reading } from "./reading.js";

/** Operations of one commit; the daemon takes 5,000 unless it is told otherwise. */
const OPERATIONS = 4000;

/** What {@link StatehouseSaver.prune} leaves. */
export type PruneStrategy = "keep_latest" | "delete";

/** Deletes a thread, in several commits if it has more keys than one may change. */
export async function deleteThread({ client, memory }: Reading, agent: string): Promise<void> {
  memory.forget(agent);
  try {
    await client.deleteAgent(agent);
  } catch (refused) {
    if (!(refused instanceof ResourceExhausted)) throw refused;
    const keys = await client.listKeys(agent, { reverse: true });
    for (let at = 0; at < keys.length; at += OPERATIONS) {
      const batch = keys.slice(at, at + OPERATIONS);
      await client.transact(batch.map((key) => op.delete(agent, key)));
    }
  }
}

/** Forks the agent of a thread, which copies no bytes. */
export async function copyThread({ client }: Reading, source: Thread, target: Thread) {
  if (!(await client.getAgent(source.agent))) return;
  try {
    await client.fork(source.agent, target.agent);
  } catch (refused) {
    if (!(refused instanceof PreconditionFailed)) throw refused;
    throw new UsageError(
      `thread ${check.brief(target.threadId)} exists, or existed: copy to an id that was never used`,
      { cause: refused },
    );
  }
}

/** Deletes all checkpoints of runs, in all threads. */
export async function deleteForRuns(reading: Reading, runIds: Iterable<string>): Promise<void> {
  const wanted = new Set(check.items("runIds", runIds).map((id) => check.text("runIds", id)));
  if (wanted.size === 0) return;
  const { client, prefix } = reading;
  const where = F("/metadata/run_id").in([...wanted]);
  const found = client.find(null, { where, prefix: "c/", values: false });
  const touched = new Map<string, Thread>();
  for await (const { agentId, key } of found) {
    if (!agentId.startsWith(prefix)) continue;
    const namespace = unquoted(key.split("/")[1] as string);
    touched.set(
      JSON.stringify([agentId, namespace]),
      reading.thread(agentId.slice(prefix.length), namespace),
    );
  }
  for (const thread of touched.values()) {
    await drop(reading, thread, (all) => {
      return all.filter(({ body }) => !wanted.has(String(body.metadata.run_id)));
    });
  }
}

/** Deletes all checkpoints of threads but the latest of each namespace, or the threads. */
export async function prune(
  reading: Reading,
  threadIds: Iterable<string>,
  strategy: PruneStrategy,
): Promise<void> {
  if (strategy !== "keep_latest" && strategy !== "delete") {
    throw new UsageError(
      `the strategy ${check.brief(strategy)} is neither "keep_latest" nor "delete"`,
    );
  }
  for (const id of check.items("threadIds", threadIds)) {
    if (strategy === "delete") {
      await deleteThread(reading, reading.thread(id, "").agent);
      continue;
    }
    for (const thread of await threads(reading, id, undefined)) await drop(reading, thread, needed);
  }
}

/**
 * The latest checkpoint, and those before it that its delta channels are put together from: all since the
 * last one that has a value of the channel.
 */
function needed(found: readonly Saved[]): Saved[] {
  const byId = new Map(found.map((one) => [one.body.id, one]));
  const latest = found.at(-1) as Saved;
  const counters = latest.body.metadata.counters_since_delta_snapshot ?? {};
  const missing = new Set(Object.keys(counters));
  const kept = new Map<number, Saved>();
  let at: Saved | undefined = latest;
  while (at && !kept.has(at.number)) {
    kept.set(at.number, at);
    for (const channel of at.body.values) missing.delete(channel);
    if (missing.size === 0 || at.body.parent === undefined) break;
    at = byId.get(at.body.parent);
  }
  return [...kept.values()];
}

/**
 * Drops the checkpoints of a namespace that are not to be kept, with the values and writes that no other one
 * has. It begins again when one is put meanwhile.
 */
async function drop(
  reading: Reading,
  thread: Thread,
  keep: (found: readonly Saved[]) => Saved[],
): Promise<void> {
  for (;;) {
    reading.memory.forget(thread.agent);
    const records = await collect(
      reading.client.scanPrefix<Body>(thread.agent, thread.checkpoints),
    );
    const found = records.filter(isCheckpoint).map(saved);
    if (found.length === 0) return;
    try {
      await dropBut(reading, thread, records, keep(found));
      return;
    } catch (refused) {
      if (!(refused instanceof PreconditionFailed)) throw refused;
    }
  }
}

/**
 * Drops from the latest downwards, as many at once as fit into a commit, each on the condition that the
 * latest is still the latest; then the values that are left over.
 */
async function dropBut(
  { client }: Reading,
  thread: Thread,
  records: readonly StateRecord<Body>[],
  kept: readonly Saved[],
): Promise<void> {
  const { agent } = thread;
  const versions = new Map(records.map(({ key, version }) => [numberAt(key), version]));
  const order = [...versions.keys()]; // ascending, as the keys are
  const commit = (operations: readonly AnyOperation[]) => {
    while (order.length > 0 && !versions.has(order.at(-1) as number)) order.pop();
    const latest = order.at(-1) ?? 0;
    const preconditions = [when.key(agent, thread.checkpoint(latest + 1), 0)];
    if (latest > 0) {
      const at = versions.get(latest) as bigint;
      preconditions.push(when.key(agent, thread.checkpoint(latest), at));
    }
    return client.transact(operations, { preconditions });
  };
  const numbers = new Set(kept.map(({ number }) => number));
  const highest = kept.reduce((most, { number }) => Math.max(most, number), 0);
  let left = [...records]
    .reverse()
    .map((record) => ({
      number: numberAt(record.key),
      operations: dropping(thread, record, numbers, highest),
    }))
    .filter(({ operations }) => operations.length > 0);
  for (let size = OPERATIONS / 4; left.length > 0; ) {
    const batch = left.slice(0, size);
    try {
      await commit(batch.flatMap(({ operations }) => operations));
    } catch (refused) {
      if (!(refused instanceof ResourceExhausted) || size === 1) throw refused;
      size = Math.max(1, Math.floor(size / 8)); // they have many writes
      continue;
    }
    left = left.slice(size);
    for (const { number } of batch) versions.delete(number);
  }
  const used = new Set(kept.flatMap(({ body }) => [...valueKeys(thread, body).values()]));
  const keys = await client.listKeys(agent, { prefix: thread.values });
  const unused = keys.filter((key) => !used.has(wholeKey(key)));
  for (let at = 0; at < unused.length; at += OPERATIONS) {
    await commit(unused.slice(at, at + OPERATIONS).map((key) => op.delete(agent, key)));
  }
}

/** What is to be done with a checkpoint, or what is left of one. */
function dropping(
  thread: Thread,
  record: StateRecord<Body>,
  kept: ReadonlySet<number>,
  highest: number,
): AnyOperation[] {
  const { agent } = thread;
  const number = numberAt(record.key);
  if (kept.has(number)) return [];
  // A number that somebody may hold for the next one is not free again: who knew of no checkpoint, or of the
  // kept one before this as the latest, would otherwise put one in the middle.
  const stays = (number === 1 || kept.has(number - 1)) && number < highest;
  if (!isCheckpoint(record)) return stays ? [] : [op.delete(agent, record.key)];
  const { id } = record.value;
  return [
    stays ? op.write(agent, record.key, DELETED) : op.delete(agent, record.key),
    op.deletePrefix(agent, thread.writes(id)),
    op.delete(agent, thread.index(id)),
  ];
}
