/** Reading checkpoints: the latest one or one by its id, with its values and pending writes. */

import type { RunnableConfig } from "@langchain/core/runnables";
import {
  type Checkpoint,
  type CheckpointMetadata,
  type CheckpointPendingWrite,
  type CheckpointTuple,
  maxChannelVersion,
  type SerializerProtocol,
  TASKS,
} from "@langchain/langgraph-checkpoint";
import type { Statehouse } from "../client.js";
import { UsageError } from "../errors.js";
import { collect } from "../pages.js";
import type { AnyValue, StateRecord } from "../types.js";
import { type Body, type Saved, saved, Thread, valueKeys, writesOf } from "./layout.js";
import { type Memory, placeOf } from "./owning.js";
import { RECENT, recent } from "./recent.js";
import { type Records, Values } from "./values.js";

/** Reads what savers keep. */
export class Reading extends Values {
  readonly memory: Memory;
  readonly prefix: string;
  readonly #nextVersion: () => number;

  constructor(
    client: Statehouse,
    serde: SerializerProtocol,
    memory: Memory,
    prefix: string,
    nextVersion: () => number,
  ) {
    super(client, serde);
    this.memory = memory;
    this.prefix = prefix;
    this.#nextVersion = nextVersion;
  }

  /** Names a checkpoint namespace of a thread. */
  thread(threadId: unknown, namespace: unknown): Thread {
    if (typeof threadId !== "string" && typeof threadId !== "number") {
      throw new UsageError(
        'the configuration names no thread: pass { configurable: { thread_id: "…" } }',
      );
    }
    return new Thread(String(threadId), String(namespace ?? ""), `${this.prefix}${threadId}`);
  }

  /** Reads a checkpoint by its id, or the latest. */
  async tuple(
    config: RunnableConfig,
    thread: Thread,
    checkpointId: string | undefined,
  ): Promise<CheckpointTuple | undefined> {
    const known = this.memory.latest(thread);
    if (known && (!checkpointId || checkpointId === known.body.id)) {
      const found = await this.#ifLatest(config, thread, known);
      if (found) return found;
    }
    if (!checkpointId) {
      const { certain, found } = await this.#recent(config, thread);
      if (certain) return found;
    }
    const one = await this.find(config, thread, checkpointId);
    if (!one) return undefined;
    const [tuple] = await this.load(thread, [one], one.readTs);
    return tuple;
  }

  /**
   * Reads a checkpoint in one request, if it is still the latest: then it is as it was, and there is none of
   * the next number.
   */
  async #ifLatest(
    config: RunnableConfig,
    thread: Thread,
    known: Saved,
  ): Promise<CheckpointTuple | undefined> {
    const key = thread.checkpoint(known.number);
    const after = thread.checkpoint(known.number + 1);
    const records = await this.records(thread, [key, after, ...partsOf(thread, [known])]);
    const record = records.get(key);
    if (records.has(after) || record?.version !== known.version) return undefined;
    this.#isLatest(config, thread, known);
    return this.#tuple(thread, known, records, record.readTs);
  }

  /**
   * Reads the latest checkpoint by what was changed last, in one request if all is there; and whether it is
   * the latest for certain.
   */
  async #recent(
    config: RunnableConfig,
    thread: Thread,
  ): Promise<{ certain: boolean; found?: CheckpointTuple | undefined }> {
    const changed = this.client.find(thread.agent, { order: "changed", limit: RECENT });
    const { latest, certain, records, writes } = recent(thread, await collect(changed));
    if (!latest) {
      if (certain) this.memory.hasRead(config, thread, placeOf(undefined));
      return { certain };
    }
    if (!certain) {
      const found = await this.#ifLatest(config, thread, latest);
      return { certain: found !== undefined, found };
    }
    this.#isLatest(config, thread, latest);
    const parts = partsOf(thread, [latest], writes === undefined);
    const missing = [...parts].filter((key) => !records.has(key));
    if (missing.length > 0) {
      for (const [key, record] of await this.records(thread, missing, latest.readTs)) {
        records.set(key, record);
      }
    }
    return { certain, found: await this.#tuple(thread, latest, records, latest.readTs, writes) };
  }

  #isLatest(config: RunnableConfig, thread: Thread, latest: Saved): void {
    const values = valueKeys(thread, latest.body).values();
    this.memory.hasRead(config, thread, placeOf(latest, values));
    this.memory.isLatest(thread, latest);
  }

  /** Finds a checkpoint by its id, or the latest; remembers what the thread was read as. */
  async find(
    config: RunnableConfig,
    thread: Thread,
    checkpointId: string | undefined,
  ): Promise<Saved | undefined> {
    const latest = await this.latest(thread);
    if (latest) this.#isLatest(config, thread, latest);
    else this.memory.hasRead(config, thread, placeOf(undefined));
    if (!latest || !checkpointId || latest.body.id === checkpointId) return latest;
    const known = this.memory.place(thread, checkpointId);
    const found = known && (await this.#numbered(thread, checkpointId, known.number));
    if (found) return found;
    const number = await this.#indexed(thread, checkpointId);
    return number === known?.number ? undefined : this.#numbered(thread, checkpointId, number);
  }

  /** A checkpoint, if it has this number: that of a deleted one is given again. */
  async #numbered(
    thread: Thread,
    checkpointId: string,
    number: number | undefined,
  ): Promise<Saved | undefined> {
    if (number === undefined) return undefined;
    const record = await this.client.getState<Body>(thread.agent, thread.checkpoint(number));
    return record?.value.id === checkpointId ? saved(record) : undefined;
  }

  /** The latest checkpoint. */
  async latest(thread: Thread): Promise<Saved | undefined> {
    const scan = this.client.scanPrefix<Body>(thread.agent, thread.checkpoints, {
      reverse: true,
      limit: 1,
    });
    const [record] = await collect(scan);
    return record && saved(record);
  }

  /** The number of a checkpoint. */
  async number(thread: Thread, checkpointId: string): Promise<number | undefined> {
    return this.memory.place(thread, checkpointId)?.number ?? this.#indexed(thread, checkpointId);
  }

  async #indexed(thread: Thread, checkpointId: string): Promise<number | undefined> {
    const index = thread.index(checkpointId);
    const record = await this.client.getState<{ number: number }>(thread.agent, index);
    return record?.value.number;
  }

  /** Reads all that checkpoints consist of, in one request where that suffices. */
  async load(thread: Thread, found: readonly Saved[], at?: bigint): Promise<CheckpointTuple[]> {
    const records = await this.records(thread, partsOf(thread, found), at);
    return Promise.all(found.map((one) => this.#tuple(thread, one, records, at)));
  }

  async #tuple(
    thread: Thread,
    one: Saved,
    records: Records,
    at: bigint | undefined,
    listed?: readonly StateRecord[],
  ): Promise<CheckpointTuple> {
    const { body } = one;
    const values: [string, AnyValue][] = [];
    for (const [channel, key] of valueKeys(thread, body)) {
      values.push([channel, await this.value(thread, key, records, at)]);
    }
    const writes = listed
      ? await this.written(thread, body.id, listed, at)
      : await this.writes(thread, body.id, records, at);
    const kept = await this.revived<Partial<Checkpoint>>(body.checkpoint);
    const checkpoint = {
      ...kept,
      id: body.id,
      channel_values: Object.fromEntries(values),
    } as Checkpoint;
    if (checkpoint.v < 4 && body.parent !== undefined) {
      await this.#migrate(thread, checkpoint, body.parent);
    }
    const tuple: CheckpointTuple = {
      config: configOf(thread, body.id),
      checkpoint,
      metadata: await this.revived<CheckpointMetadata>(body.metadata),
      pendingWrites: writes.map((w): CheckpointPendingWrite => [w.taskId, w.channel, w.value]),
    };
    if (body.parent !== undefined && records.has(thread.index(body.parent))) {
      tuple.parentConfig = configOf(thread, body.parent);
    }
    return tuple;
  }

  /** Puts what was sent in a checkpoint of an old version where today's framework looks for it. */
  async #migrate(thread: Thread, checkpoint: Checkpoint, parent: string): Promise<void> {
    const records = await this.records(thread, writesOf(thread, parent));
    const sent = await this.writes(thread, parent, records);
    checkpoint.channel_values[TASKS] = sent.filter((w) => w.channel === TASKS).map((w) => w.value);
    const versions = Object.values(checkpoint.channel_versions);
    checkpoint.channel_versions[TASKS] =
      versions.length > 0 ? maxChannelVersion(...versions) : this.#nextVersion();
  }
}

/** The keys of what checkpoints consist of. */
function partsOf(thread: Thread, found: readonly Saved[], writes = true): Set<string> {
  const keys = new Set<string>();
  for (const { body } of found) {
    for (const key of valueKeys(thread, body).values()) keys.add(key);
    if (body.parent !== undefined) keys.add(thread.index(body.parent));
    if (writes) for (const key of writesOf(thread, body.id)) keys.add(key);
  }
  return keys;
}

/** Names a checkpoint as the framework does. */
export function configOf(thread: Thread, checkpointId: string): RunnableConfig {
  return {
    configurable: {
      thread_id: thread.threadId,
      checkpoint_ns: thread.namespace,
      checkpoint_id: checkpointId,
    },
  };
}
