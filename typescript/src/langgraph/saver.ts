/** The checkpointer. */

import { randomBytes } from "node:crypto";
import type { RunnableConfig } from "@langchain/core/runnables";
import {
  BaseCheckpointSaver,
  type ChannelVersions,
  type Checkpoint,
  type CheckpointListOptions,
  type CheckpointMetadata,
  type CheckpointTuple,
  getCheckpointId,
  type PendingWrite,
  type SerializerProtocol,
} from "@langchain/langgraph-checkpoint";
import * as check from "../check.js";
import { Statehouse } from "../client.js";
import { PreconditionFailed, ResourceExhausted, UsageError } from "../errors.js";
import type { Lease } from "../leases.js";
import { op } from "../operations.js";
import { type ChannelHistory, deltaHistory } from "./history.js";
import { list } from "./listing.js";
import { Memory } from "./owning.js";
import { Reading } from "./reading.js";
import { put, putWrites } from "./writing.js";

/** What the names of threads' agents begin with. */
const THREADS = "thread/";
/** Digits of a channel's version. */
const DIGITS = 10;
/** Operations of one commit; the daemon takes 5,000 unless it is told otherwise. */
const OPERATIONS = 4000;

/** How a saver keeps threads. */
export interface SaverOptions {
  /** Writes and reads the values; by default the framework's own. */
  serde?: SerializerProtocol;
  /** What the names of the threads' agents begin with. */
  prefix?: string;
}

/**
 * A checkpointer of LangGraph.
 *
 * ```ts
 * const saver = new StatehouseSaver(new Statehouse("localhost:50051"));
 * const graph = builder.compile({ checkpointer: saver });
 * ```
 *
 * The client's namespace is that of the threads. A put is one commit, which is durable when it returns and
 * writes only the channels that have changed. A second worker on a thread is refused with a
 * {@link ThreadConflict}.
 */
export class StatehouseSaver extends BaseCheckpointSaver {
  readonly client: Statehouse;
  readonly #reading: Reading;

  constructor(client: Statehouse, options: SaverOptions = {}) {
    if (!(client instanceof Statehouse)) {
      throw new UsageError(`a saver takes a Statehouse client, not ${check.brief(client)}`);
    }
    check.options(options, "serde", "prefix");
    super(options.serde);
    this.client = client;
    const prefix = options.prefix === undefined ? THREADS : check.text("prefix", options.prefix);
    this.#reading = new Reading(client, this.serde, new Memory(), prefix, () =>
      this.getNextVersion(undefined),
    );
  }

  /** Reads the checkpoint that `config` names, or the latest of its thread. */
  override async getTuple(config: RunnableConfig): Promise<CheckpointTuple | undefined> {
    const { thread_id, checkpoint_ns } = config.configurable ?? {};
    if (thread_id === undefined) return undefined;
    const thread = this.#reading.thread(thread_id, checkpoint_ns);
    return this.#reading.tuple(config, thread, getCheckpointId(config) || undefined);
  }

  /**
   * Lists the checkpoints of a thread, the latest first. With `checkpoint_ns` each page costs the same,
   * wherever it begins; without, and without a thread, all are read first.
   */
  override list(
    config: RunnableConfig,
    options?: CheckpointListOptions,
  ): AsyncGenerator<CheckpointTuple> {
    return list(this.#reading, config, options);
  }

  /**
   * Puts a checkpoint, and the values of the channels that `newVersions` names, in one commit. Rejects with
   * a {@link ThreadConflict} when another worker has gone on with the thread since this run read it.
   */
  override put(
    config: RunnableConfig,
    checkpoint: Checkpoint,
    metadata: CheckpointMetadata,
    newVersions: ChannelVersions,
  ): Promise<RunnableConfig> {
    return put(this.#reading, config, checkpoint, metadata, newVersions);
  }

  /** Puts what a task has written, which counts once however often it is put. */
  override putWrites(
    config: RunnableConfig,
    writes: PendingWrite[],
    taskId: string,
    taskPath = "",
  ): Promise<void> {
    return putWrites(this.#reading, config, writes, taskId, taskPath);
  }

  /** Reads what delta channels are put together from, many checkpoints a request. */
  override async getDeltaChannelHistory(options: {
    config: RunnableConfig;
    channels: string[];
  }): Promise<{ [channel: string]: ChannelHistory }> {
    const { config, channels } = options;
    const { thread_id, checkpoint_ns } = config.configurable ?? {};
    const thread = this.#reading.thread(thread_id, checkpoint_ns);
    const id = getCheckpointId(config) || undefined;
    return deltaHistory(this.#reading, config, thread, id, channels);
  }

  /** Deletes a thread. Its past stays in the log until retention or an erasure takes it. */
  override async deleteThread(threadId: string): Promise<void> {
    const { agent } = this.#reading.thread(threadId, "");
    this.#reading.memory.forget(agent);
    try {
      await this.client.deleteAgent(agent);
    } catch (refused) {
      if (!(refused instanceof ResourceExhausted)) throw refused;
      // More keys than one commit may change.
      const keys = await this.client.listKeys(agent, { reverse: true });
      for (let at = 0; at < keys.length; at += OPERATIONS) {
        const batch = keys.slice(at, at + OPERATIONS);
        await this.client.transact(batch.map((key) => op.delete(agent, key)));
      }
    }
  }

  /**
   * Begins a thread with all that another one has, at once and however much that is: a fork of its agent.
   * The new id must never have been used.
   */
  async copyThread(sourceThreadId: string, targetThreadId: string): Promise<void> {
    const source = this.#reading.thread(sourceThreadId, "").agent;
    const target = this.#reading.thread(targetThreadId, "").agent;
    if (!(await this.client.getAgent(source))) return;
    try {
      await this.client.fork(source, target);
    } catch (refused) {
      if (!(refused instanceof PreconditionFailed)) throw refused;
      throw new UsageError(
        `thread ${check.brief(targetThreadId)} exists, or existed: copy to an id that was never used`,
        { cause: refused },
      );
    }
  }

  /**
   * Lets one worker at a time begin with a thread: a lease on it. Rejects with `LeaseHeld` when another
   * worker holds it, after `waitMs`. Without it two workers may both run a step, of which one result is
   * refused.
   */
  hold(threadId: string, options: { ttlMs?: number; waitMs?: number } = {}): Promise<Lease> {
    check.options(options, "ttlMs", "waitMs");
    return this.client.lease(this.#reading.thread(threadId, "").agent, "run", options);
  }

  /**
   * The version after `current`: a number, and digits that two branches do not share, as text. It is that
   * of the Python SDK. The framework takes text, but types its graphs' savers as those of numbers.
   */
  override getNextVersion(current: number | string | undefined): number {
    const before = current === undefined ? "0" : (String(current).split(".")[0] as string);
    const digits = Math.max(DIGITS, before.length);
    const next = String(BigInt(before) + 1n).padStart(digits, "0");
    return `${next}.${randomBytes(4).toString("hex")}` as unknown as number;
  }
}
