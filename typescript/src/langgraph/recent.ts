/**
 * The latest checkpoint in one request, for whoever has not read the thread yet: as a rule the records of the
 * thread that were changed last are what it consists of. They are listed from the last change back, without a
 * gap.
 */

import type { StateRecord } from "../types.js";
import { type Body, isCheckpoint, numberAt, type Saved, saved, type Thread } from "./layout.js";

/**
 * How many records are asked for. A step of a conversation changes about five: its checkpoint and that one's
 * number, the messages, what to do next, and what a task wrote. Of the step before it the checkpoint has to be
 * among them.
 */
export const RECENT = 8;

/** What the records that were changed last say of the latest checkpoint. */
export interface Recent {
  /** undefined: none is here. */
  readonly latest: Saved | undefined;
  /** Whether that is certain; otherwise it may be another, or there may be one. */
  readonly certain: boolean;
  /** By their keys; under that of a checkpoint's index the checkpoint, where only that is here. */
  readonly records: Map<string, StateRecord>;
  /** The writes to it, in their order; undefined: there may be others. */
  readonly writes: StateRecord[] | undefined;
}

/**
 * Finds the latest checkpoint in the records that were changed last.
 *
 * If all records are here it is the one of the highest number. Otherwise that has to have been written once.
 * Numbers go on without a gap, so a later one was put after it, and would stand before it. But what the thread
 * had when it was copied, and what was last changed before what the log still has, comes at the end, in the
 * order of keys. So one of a lower number has to stand after it.
 */
export function recent(thread: Thread, changed: readonly StateRecord[]): Recent {
  const found = [...changed.entries()]
    .filter(([, { key }]) => key.startsWith(thread.checkpoints))
    .map(([at, { key }]) => ({ number: numberAt(key), at }));
  const whole = changed.length < RECENT;
  const last = found.reduce((a, b) => (b.number > a.number ? b : a), { number: 0, at: -1 });
  const record: StateRecord<Body> | undefined = changed[last.at];
  if (!record || !isCheckpoint(record)) {
    const records = new Map<string, StateRecord>();
    return { latest: undefined, certain: whole && !record, records, writes: undefined };
  }
  const latest = saved(record);
  const follows = found.some(({ number, at }) => number < last.number && at > last.at);
  const certain = whole || (latest.version === 1n && follows);
  const records = new Map(changed.map((one) => [one.key, one]));
  for (const { at } of found) {
    const one = changed[at] as StateRecord;
    const index = isCheckpoint(one) && thread.index(saved(one).body.id); // which is there, too
    if (index && !records.has(index)) records.set(index, one);
  }
  // To one that was put again there may have been writes before.
  const once = certain && records.get(thread.index(latest.body.id))?.version === 1n;
  let writes: StateRecord[] | undefined;
  if (whole || (once && latest.body.unwritten)) {
    const first = `${thread.writes(latest.body.id)}0`;
    writes = changed.filter(({ key }) => key.startsWith(first));
    writes.sort((a, b) => (a.key < b.key ? -1 : 1));
  }
  return { latest, certain, records, writes };
}
