/** Putting checkpoints, each in one commit, and the writes that wait for the next. */

import { randomBytes } from "node:crypto";
import type { RunnableConfig } from "@langchain/core/runnables";
import type {
  ChannelVersions,
  Checkpoint,
  CheckpointMetadata,
  PendingWrite,
} from "@langchain/langgraph-checkpoint";
import { PreconditionFailed, UsageError } from "../errors.js";
import { type AnyOperation, op, type Precondition, when } from "../operations.js";
import {
  type Body,
  GUESSED,
  guesses,
  numberAt,
  partKey,
  serialized,
  type Thread,
  valueWrites,
} from "./layout.js";
import { type Place, placeOf, ThreadConflict } from "./owning.js";
import { configOf, type Reading } from "./reading.js";
import { writeIndex } from "./values.js";

/** Bytes of one commit; the daemon takes 3.5 MiB unless it is told otherwise. */
const BYTES = 2_500_000;

type Write = AnyOperation & { type: "write" };

/** What a put is made of. */
interface Put {
  readonly config: RunnableConfig;
  readonly thread: Thread;
  readonly body: Body;
  /** The keys of the values that the checkpoint has. */
  readonly keys: ReadonlySet<string>;
  /** Those of them that are not there yet. */
  values: Write[];
  /** What was written ahead of the commit must still be there. */
  conditions: Precondition[];
}

/** Puts a checkpoint and the values of the channels that are new, in one commit. */
export async function put(
  reading: Reading,
  config: RunnableConfig,
  checkpoint: Checkpoint,
  metadata: CheckpointMetadata,
  newVersions: ChannelVersions,
): Promise<RunnableConfig> {
  const { thread_id, checkpoint_ns, checkpoint_id } = config.configurable ?? {};
  const thread = reading.thread(thread_id, checkpoint_ns);
  const parent = typeof checkpoint_id === "string" && checkpoint_id ? checkpoint_id : undefined;
  const base =
    reading.memory.base(config, thread, parent) ?? (await unread(reading, thread, parent));
  const values: Write[] = [];
  const kept: string[] = [];
  for (const [channel, version] of Object.entries(checkpoint.channel_versions)) {
    if (!Object.hasOwn(checkpoint.channel_values, channel)) continue;
    if (!Object.hasOwn(newVersions, channel)) kept.push(channel);
    else {
      const value = checkpoint.channel_values[channel];
      const key = thread.value(channel, version);
      values.push(...(await valueWrites(reading.serde, thread.agent, key, value)));
    }
  }
  const there = await carried(reading, thread, base, checkpoint, kept);
  const { id, channel_values, ...rest } = checkpoint;
  const has = Object.keys(channel_values).filter(
    (channel) => Object.hasOwn(newVersions, channel) || there.has(channel),
  );
  const body: Body = {
    id,
    checkpoint: await reading.plain(rest),
    metadata: await reading.plain(metadata),
    values: has.filter((channel) => Object.hasOwn(checkpoint.channel_versions, channel)),
    ...(parent !== undefined && { parent }),
  };
  const keys = body.values.map((channel) =>
    thread.value(channel, checkpoint.channel_versions[channel] as string),
  );
  const made: Put = { config, thread, body, keys: new Set(keys), values, conditions: [] };
  await ahead(reading, made);
  try {
    await commit(reading, made, base);
  } catch (refused) {
    if (!(refused instanceof PreconditionFailed)) throw refused;
    await explain(reading, made, refused);
  }
  return configOf(thread, id);
}

/** Commits what is one checkpoint; first as one that nothing was written to yet. */
async function commit(reading: Reading, made: Put, base: Place): Promise<void> {
  const { thread, body, conditions } = made;
  const key = guesses(thread, body.id)[0] as string;
  const first = [...conditions, when.key(thread.agent, key, 0)];
  try {
    await commitAs(
      reading,
      { ...made, body: { ...body, unwritten: true }, conditions: first },
      base,
    );
  } catch (refused) {
    if (!(refused instanceof PreconditionFailed && refused.key === key)) throw refused;
    await commitAs(reading, made, base);
  }
}

/**
 * Reads the latest checkpoint for whoever has not. A checkpoint may follow that one, or none; to begin a
 * branch one has to read first.
 */
async function unread(
  reading: Reading,
  thread: Thread,
  parent: string | undefined,
): Promise<Place> {
  const latest = await reading.latest(thread);
  if (latest && parent !== undefined && latest.body.id !== parent) {
    throw new ThreadConflict(thread, latest.body.id);
  }
  return placeOf(latest);
}

/** Finds out which channels have a value that an earlier checkpoint wrote. */
async function carried(
  reading: Reading,
  thread: Thread,
  base: Place,
  checkpoint: Checkpoint,
  channels: readonly string[],
): Promise<Set<string>> {
  const keyOf = (channel: string) =>
    thread.value(channel, checkpoint.channel_versions[channel] as string);
  const asked = channels.filter((channel) => !base.values.has(keyOf(channel)));
  const records = asked.length > 0 ? await reading.records(thread, asked.map(keyOf)) : new Map();
  return new Set(
    channels.filter((channel) => base.values.has(keyOf(channel)) || records.has(keyOf(channel))),
  );
}

/**
 * Writes what does not fit into one commit before it. Nothing refers to that yet, and the commit is refused
 * if it is deleted meanwhile.
 */
async function ahead(reading: Reading, made: Put): Promise<void> {
  const { agent } = made.thread;
  const size = (writes: readonly Write[]) =>
    writes.reduce((sum, write) => sum + (write.value as Uint8Array).length, 0);
  while (size(made.values) > BYTES) {
    let count = 1;
    while (size(made.values.slice(0, count + 1)) <= BYTES) count += 1;
    const done = await reading.client.transact(made.values.splice(0, count));
    for (const { key, version } of done.versions)
      made.conditions.push(when.key(agent, key, version));
  }
}

async function commitAs(reading: Reading, made: Put, base: Place): Promise<void> {
  const { thread, body, values } = made;
  const number = base.number + 1;
  const latest = thread.checkpoint(base.number);
  const preconditions = [...made.conditions];
  if (base.number > 0) preconditions.push(when.key(thread.agent, latest, base.version));
  const index = op.write(thread.agent, thread.index(body.id), { number }, { expectedVersion: 0 });
  const done = await reading.client.transact(
    [
      op.write(thread.agent, thread.checkpoint(number), { ...body }, { expectedVersion: 0 }),
      index,
      ...values,
    ],
    { preconditions, metadata: said(body) },
  );
  isAt(reading, made, number, done.version);
}

/** Remembers where a checkpoint is that was put. */
function isAt(reading: Reading, made: Put, number: number, version: bigint): void {
  const { config, thread, body } = made;
  reading.memory.hasPut(config, thread, body.id, { number, version, values: made.keys });
  reading.memory.isLatest(thread, { number, version, body, readTs: 0n });
}

/** Finds out why a put was refused: because this very checkpoint is there, or because of another. */
async function explain(reading: Reading, made: Put, refused: PreconditionFailed): Promise<void> {
  const { thread, body } = made;
  const index = thread.index(body.id);
  const found = await reading.client.getState<{ number: number }>(thread.agent, index);
  if (!found) {
    const latest = await reading.latest(thread);
    throw new ThreadConflict(thread, latest?.body.id, refused);
  }
  const key = thread.checkpoint(found.value.number);
  const record = await reading.client.getState<Body>(thread.agent, key);
  if (record?.value.id !== body.id) throw new ThreadConflict(thread, undefined, refused); // it was just deleted
  // The last put of an id counts.
  const done = await reading.client.transact(
    [op.write(thread.agent, key, { ...body }, { expectedVersion: record.version }), ...made.values],
    { preconditions: made.conditions, metadata: said(body) },
  );
  isAt(reading, made, found.value.number, done.version);
}

/** What the commit says of itself: for people who look at the log. */
function said({ metadata }: Body): { [key: string]: string } {
  const wanted = ["source", "step", "run_id"].filter((key) => metadata[key] != null);
  return Object.fromEntries(wanted.map((key) => [key, String(metadata[key]).slice(0, 200)]));
}

/** Puts what a task has written, which counts once however often it is put. */
export async function putWrites(
  reading: Reading,
  config: RunnableConfig,
  writes: readonly PendingWrite[],
  taskId: string,
  taskPath: string,
): Promise<void> {
  const { thread_id, checkpoint_ns, checkpoint_id } = config.configurable ?? {};
  const thread = reading.thread(thread_id, checkpoint_ns);
  if (typeof checkpoint_id !== "string" || checkpoint_id === "") {
    throw new UsageError("the configuration names no checkpoint_id that the writes are to");
  }
  const listed = writes.map(([channel, value], at) => [writeIndex(channel, at), channel, value]);
  let parts = await serialized(reading.serde, [taskId, taskPath, listed]);
  if (parts.reduce((sum, { part }) => sum + part.length, 0) > BYTES) {
    parts = [await writtenAhead(reading, thread, checkpoint_id, parts)];
  }
  const prefix = thread.writes(checkpoint_id);
  const operations = parts.map(({ part, options }) =>
    op.append(thread.agent, prefix, part, options),
  );
  const more = op.putIfAbsent(thread.agent, thread.more(checkpoint_id), {});
  const { client, memory } = reading;
  const metadata = { task_id: taskId };
  const told = memory.willWrite(thread, checkpoint_id, operations.length) > GUESSED;
  const done = await client.transact(told ? [...operations, more] : operations, { metadata });
  const last = numberAt(done.versions[operations.length - 1]?.key ?? "");
  memory.hasWritten(thread, checkpoint_id, last);
  if (last > GUESSED && !told) await client.transact([more], { metadata });
}

/** Writes what does not fit into a commit before it, and answers what is left for that. */
async function writtenAhead(
  { client }: Reading,
  thread: Thread,
  checkpointId: string,
  parts: Awaited<ReturnType<typeof serialized>>,
): Promise<(typeof parts)[number]> {
  const name = randomBytes(8).toString("hex");
  const key = thread.ahead(checkpointId, name);
  for (const [at, { part }] of parts.entries()) {
    await client.write(thread.agent, partKey(key, at), part);
  }
  const contentType = `${parts[0]?.options.contentType};ahead=${name}`;
  return { part: new Uint8Array(), options: { contentType } };
}
