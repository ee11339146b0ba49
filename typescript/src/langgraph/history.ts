/** What delta channels are put together from: the writes since the last value of the channel. */

import type { RunnableConfig } from "@langchain/core/runnables";
import type { CheckpointPendingWrite } from "@langchain/langgraph-checkpoint";
import type { AnyValue } from "../types.js";
import {
  type Body,
  isCheckpoint,
  type Saved,
  saved,
  type Thread,
  valueKeys,
  writesOf,
} from "./layout.js";
import type { Reading } from "./reading.js";

/** How many checkpoints are asked for at once. */
const BLOCK = 64;

/** What one channel contributed: its writes, oldest first, on top of a value, if there is one. */
export interface ChannelHistory {
  writes: CheckpointPendingWrite[];
  seed?: unknown;
}

/** Walks the ancestors of a checkpoint, many a request, until each channel has a value. */
export async function deltaHistory(
  reading: Reading,
  config: RunnableConfig,
  thread: Thread,
  checkpointId: string | undefined,
  channels: readonly string[],
): Promise<{ [channel: string]: ChannelHistory }> {
  const found = new Map<string, ChannelHistory>(
    channels.map((channel) => [channel, { writes: [] }]),
  );
  const left = new Set(channels);
  let block = new Map<string, Saved>();
  let at = await reading.find(config, thread, checkpointId);
  while (left.size > 0 && at?.body.parent !== undefined) {
    if (!block.has(at.body.parent)) block = await before(reading, thread, at.body.parent);
    const chain = chainOf(at, block, left);
    if (chain.length === 0) break;
    const keys = chain.flatMap(({ body }) => [
      ...writesOf(thread, body.id),
      ...ends(thread, body, left).values(),
    ]);
    const records = await reading.records(thread, keys);
    for (const { body } of chain) {
      const writes = await reading.writes(thread, body.id, records);
      for (const { taskId, channel, value } of writes.reverse()) {
        if (left.has(channel)) found.get(channel)?.writes.push([taskId, channel, value]);
      }
      for (const [channel, key] of ends(thread, body, left)) {
        const seed: AnyValue = await reading.value(thread, key, records, undefined);
        Object.assign(found.get(channel) as ChannelHistory, { seed });
        left.delete(channel);
      }
    }
    at = chain.at(-1);
  }
  for (const { writes } of found.values()) writes.reverse();
  return Object.fromEntries(found);
}

/** The keys of the values of a checkpoint at which the walk of a channel ends. */
function ends(thread: Thread, body: Body, left: ReadonlySet<string>): Map<string, string> {
  return new Map([...valueKeys(thread, body)].filter(([channel]) => left.has(channel)));
}

/** Reads a checkpoint and those before it, by their ids: as a rule its ancestors. */
async function before(reading: Reading, thread: Thread, id: string): Promise<Map<string, Saved>> {
  const last = await reading.number(thread, id);
  if (last === undefined) return new Map();
  const count = Math.min(BLOCK, last);
  const keys = Array.from({ length: count }, (_, at) => thread.checkpoint(last - at));
  const records = await reading.records(thread, keys);
  const found = [...records.values()].filter(isCheckpoint).map(saved);
  return new Map(found.map((one) => [one.body.id, one]));
}

/** The ancestors of a checkpoint in a block, as far as a channel needs them. */
function chainOf(
  of: Saved,
  block: ReadonlyMap<string, Saved>,
  channels: ReadonlySet<string>,
): Saved[] {
  const chain: Saved[] = [];
  const missing = new Set(channels);
  let at = block.get(of.body.parent as string);
  while (missing.size > 0 && at) {
    chain.push(at);
    for (const channel of at.body.values) missing.delete(channel);
    at = at.body.parent === undefined ? undefined : block.get(at.body.parent);
  }
  return chain;
}
