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
import { UsageError } from "../errors.js";
import type { Lease } from "../leases.js";
import { type ChannelHistory, deltaHistory } from "./history.js";
import type { Thread } from "./layout.js";
import { list } from "./listing.js";
import { Memory } from "./owning.js";
import { Reading } from "./reading.js";
import { copyThread, deleteForRuns, deleteThread, type PruneStrategy, prune } from "./upkeep.js";
import { put, putWrites } from "./writing.js";

/** What the names of threads' agents begin with. */
const THREADS = "thread/";
/** Digits of a channel's version. */
const DIGITS = 10;

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
  override deleteThread(threadId: string): Promise<void> {
    return deleteThread(this.#reading, this.#reading.thread(threadId, "").agent);
  }

  /**
   * Deletes all checkpoints that runs have put, in whatever threads, with the values and writes that no other
   * checkpoint has. It looks at all checkpoints, and begins again with a thread that goes on meanwhile.
   */
  deleteForRuns(runIds: Iterable<string>): Promise<void> {
    return deleteForRuns(this.#reading, runIds);
  }

  /**
   * Deletes what threads no longer need: all but the latest checkpoint of each namespace, and those that its
   * delta channels are put together from. With `"delete"` the threads are deleted.
   */
  prune(threadIds: Iterable<string>, strategy: PruneStrategy = "keep_latest"): Promise<void> {
    return prune(this.#reading, threadIds, strategy);
  }

  /**
   * Begins a thread with all that another one has, at once and however much that is: a fork of its agent.
   * The new id must never have been used.
   */
  copyThread(sourceThreadId: string, targetThreadId: string): Promise<void> {
    const [source, target] = [sourceThreadId, targetThreadId].map((id) =>
      this.#reading.thread(id, ""),
    ) as [Thread, Thread];
    return copyThread(this.#reading, source, target);
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
