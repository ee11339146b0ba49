/** Reading what checkpoints consist of: values, whole or in parts, and what was written to them. */

import { type SerializerProtocol, WRITES_IDX_MAP } from "@langchain/langgraph-checkpoint";
import { compareBytes } from "../answers.js";
import type { Statehouse } from "../client.js";
import { DataLoss } from "../errors.js";
import { anyJson } from "../json.js";
import { collect } from "../pages.js";
import type { AnyValue, StateRecord } from "../types.js";
import { contentOf, deserialized, guesses, partKey, type Thread } from "./layout.js";

/** Records by their keys. */
export type Records = Map<string, StateRecord>;

/** One write to a checkpoint that waits for the next. */
export interface Written {
  taskPath: string;
  taskId: string;
  index: number;
  channel: string;
  value: AnyValue;
}

/** Reads values and writes of threads. */
export class Values {
  readonly client: Statehouse;
  readonly serde: SerializerProtocol;

  constructor(client: Statehouse, serde: SerializerProtocol) {
    this.client = client;
    this.serde = serde;
  }

  /** Reads records of a thread, by their keys. */
  async records(thread: Thread, keys: Iterable<string>, at?: bigint): Promise<Records> {
    const found = await this.client.getMany(thread.agent, keys, at === undefined ? {} : { at });
    const records: Records = new Map();
    for (const record of found) if (record) records.set(record.key, record);
    return records;
  }

  /** Reads a value, of which the first part is read already. */
  async value(
    thread: Thread,
    key: string,
    records: Records,
    at: bigint | undefined,
  ): Promise<AnyValue> {
    const first = records.get(key);
    if (!first) {
      throw new DataLoss(
        `agent ${thread.agent} has a checkpoint with the value ${key}, which is gone`,
      );
    }
    const { kind, parts } = contentOf(first);
    const keys = Array.from({ length: parts - 1 }, (_, part) => partKey(key, part + 1));
    const rest = keys.length > 0 ? await this.records(thread, keys, at) : new Map();
    return this.#whole(thread, kind, [first, ...keys.map((part) => rest.get(part))]);
  }

  /** Reads a value of the records that it is made of. */
  #whole(
    thread: Thread,
    kind: string,
    parts: readonly (StateRecord | undefined)[],
  ): Promise<AnyValue> {
    const whole = parts.map((record) => {
      if (!record) throw new DataLoss(`a value of agent ${thread.agent} has a part that is gone`);
      return record.value as Uint8Array;
    });
    return deserialized(this.serde, kind, whole);
  }

  /** The writes to a checkpoint, in the order in which the framework applies them. */
  async writes(
    thread: Thread,
    checkpointId: string,
    records: Records,
    at?: bigint,
  ): Promise<Written[]> {
    const guessed = guesses(thread, checkpointId);
    let read = guessed.flatMap((key) => records.get(key) ?? []);
    if (records.has(guessed.at(-1) as string) || records.has(thread.more(checkpointId))) {
      // There may be more.
      const prefix = thread.writes(checkpointId);
      const scan = this.client.scanPrefix(thread.agent, prefix, at === undefined ? {} : { at });
      read = (await collect(scan)).filter(({ key }) => key > `${prefix}0`);
    }
    return this.written(thread, checkpointId, read, at);
  }

  /** Makes writes of their records. */
  async written(
    thread: Thread,
    checkpointId: string,
    read: readonly StateRecord[],
    asOf: bigint | undefined,
  ): Promise<Written[]> {
    const written = new Map<string, Written>();
    for (let at = 0; at < read.length; ) {
      const { kind, parts, ahead } = contentOf(read[at] as StateRecord);
      let held: readonly (StateRecord | undefined)[] = read.slice(at, at + (ahead ? 1 : parts));
      at += held.length;
      if (ahead) {
        const key = thread.ahead(checkpointId, ahead);
        const keys = Array.from({ length: parts }, (_, part) => partKey(key, part));
        const others = await this.records(thread, keys, asOf);
        held = keys.map((part) => others.get(part));
      }
      const [taskId, taskPath, writes] = await this.#whole(thread, kind, held);
      for (const [index, channel, value] of writes) {
        // Of what a task wrote the first counts, however often it is done again; of errors, interrupts
        // and resumes the last.
        const name = JSON.stringify([taskId, index]);
        if (index < 0 || !written.has(name)) {
          written.set(name, { taskPath, taskId, index, channel, value });
        }
      }
    }
    // Text is in the order of its code points, which is that of its bytes.
    return [...written.values()].sort(
      (a, b) =>
        compareBytes(a.taskPath, b.taskPath) ||
        compareBytes(a.taskId, b.taskId) ||
        a.index - b.index,
    );
  }

  /** Makes plain JSON of what the framework says, with its own objects as its serializer writes them. */
  async plain(value: unknown): Promise<AnyValue> {
    const [kind, data] = await this.serde.dumpsTyped(value);
    return kind === "json" ? JSON.parse(Buffer.from(data).toString()) : value;
  }

  /** Reads what {@link plain} made. */
  async revived<T>(value: AnyValue): Promise<T> {
    const [kind] = await this.serde.dumpsTyped(null);
    return kind === "json" ? this.serde.loadsTyped(kind, anyJson("metadata", value)) : value;
  }
}

/** The place of a write among those of its task. */
export function writeIndex(channel: string, at: number): number {
  return WRITES_IDX_MAP[channel] ?? at;
}
