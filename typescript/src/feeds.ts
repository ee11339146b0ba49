/**
 * Streams of events that open again after the last event when they break.
 *
 * The rules are those of the Go client, `client/streams.go`, and of the Python SDK.
 */

import { eventOf } from "./answers.js";
import type { Caller } from "./calls.js";
import { Deadline } from "./deadline.js";
import * as errors from "./errors.js";
import type {
  EventBatch,
  ReplayEvent,
  ReplayRequest,
  WatchRequest,
} from "./proto/statehouse/v1/statehouse_pb.js";
import type { CommitEvent } from "./types.js";

const FOREVER = Number.POSITIVE_INFINITY;

/** What is read, how it resumes, and how long. */
interface Source {
  readonly method: "replayBatches" | "watch";
  /** The daemon never ends such a stream in good order. */
  readonly endless: boolean;
  /** Makes the request ask for what comes after the cursor. */
  resume(feed: Feed): ReplayRequest | WatchRequest;
  /** How many milliseconds one stream may take. */
  attemptMs(): number;
  /** Until when a daemon that went away now is waited for. */
  patience(): Deadline;
  /** Reports whether the time for the whole is over. */
  over(): boolean;
}

/** Replays commits of the past, after `cursor`. */
export function replayFeed(
  caller: Caller,
  request: ReplayRequest,
  {
    cursor,
    limit,
    epoch,
    signal,
  }: { cursor: bigint; limit: number; epoch: string; signal: AbortSignal | undefined },
): AsyncGenerator<CommitEvent, void, undefined> {
  const source: Source = {
    method: "replayBatches",
    endless: false,
    resume(feed) {
      if (feed.cursor) {
        request.startTs = feed.cursor + 1n;
        request.epoch = feed.epoch;
      }
      if (feed.left !== FOREVER) request.limit = BigInt(feed.left + feed.begun());
      return request;
    },
    // When it passes in the middle of a long replay, that goes on where it was.
    attemptMs: () => Math.min(caller.options.attemptTimeoutMs, caller.options.timeoutMs),
    patience: () => new Deadline(caller.options.timeoutMs),
    over: () => false,
  };
  return new Feed(caller, source, { cursor, left: limit, epoch, signal }).events();
}

/** Watches commits as they are made, after `cursor`; undefined: from now on. */
export function watchFeed(
  caller: Caller,
  request: WatchRequest,
  given: {
    cursor: bigint | undefined;
    ms: number;
    epoch: string;
    signal: AbortSignal | undefined;
    marks?: boolean;
  },
): AsyncGenerator<CommitEvent | undefined, void, undefined> {
  const deadline = new Deadline(given.ms);
  const source: Source = {
    method: "watch",
    endless: true,
    resume(feed) {
      if (feed.cursor !== undefined) {
        request.afterTs = feed.cursor;
        request.epoch = feed.epoch;
      }
      return request;
    },
    attemptMs: () => deadline.left(),
    patience: () => new Deadline(FOREVER),
    over: () => deadline.over(),
  };
  return new Feed(caller, source, { ...given, left: FOREVER }).events();
}

interface Start {
  cursor: bigint | undefined;
  left: number;
  epoch: string;
  signal: AbortSignal | undefined;
  /** Hand out undefined for a batch without events: a watch says so that it has begun. */
  marks?: boolean;
}

/** What replay and watch have in common. */
class Feed {
  /**
   * Everything up to it has been handed out, and nothing after it. undefined: a watch from now on, whose
   * first batch says it. Invariant: only rises.
   */
  cursor: bigint | undefined;
  left: number;
  /** In which the cursor names a commit; empty: unknown. */
  epoch: string;
  readonly #caller: Caller;
  readonly #source: Source;
  readonly #signal: AbortSignal | undefined;
  readonly #marks: boolean;
  /**
   * The last commit of which an event was handed out, and how many: a change of very many keys is
   * several events, and the cursor stays before it until its last one.
   */
  #part = 0n;
  #parts = 0;
  /** Of the stream: a commit, and how many of its events came. */
  #at = 0n;
  #count = 0;

  constructor(caller: Caller, source: Source, start: Start) {
    this.#caller = caller;
    this.#source = source;
    this.cursor = start.cursor;
    this.left = start.left;
    this.epoch = start.epoch;
    this.#signal = start.signal;
    this.#marks = start.marks ?? false;
  }

  /** How many events after the cursor were handed out. */
  begun(): number {
    return this.#part > (this.cursor ?? 0n) ? this.#parts : 0;
  }

  async *events(): AsyncGenerator<never, void, undefined> {
    const source = this.#source;
    let waiting: Deadline | undefined; // since the daemon was lost
    let known = false; // the daemon has been reached
    let tries = 0;
    while (this.left > 0 && !source.over()) {
      const heard = this.#heard();
      let failed: unknown;
      try {
        yield* this.#read() as AsyncGenerator<never>;
        if (!source.endless || this.left === 0) return;
        failed = new errors.ConnectionError("the daemon ended the stream", { sent: true });
      } catch (error) {
        failed = error;
      }
      if (!canResume(failed)) throw failed;
      if (this.#heard() !== heard) {
        known = true;
        waiting = undefined;
        tries = 0;
      }
      if (source.over()) return;
      const hasty = !known && !failed.answered && this.#caller.options.failFast;
      if (failed.lasting || hasty) throw failed;
      waiting ??= source.patience();
      await this.#caller.pause(source.method, tries, waiting, failed, this.#signal);
      tries += 1;
    }
  }

  #heard(): string {
    return `${this.cursor} ${this.#part} ${this.#parts}`;
  }

  /** Opens the stream once and hands out what comes. */
  async *#read(): AsyncGenerator<CommitEvent | undefined, void, undefined> {
    const request = this.#source.resume(this);
    this.#at = 0n;
    this.#count = 0;
    const within = new Deadline(this.#source.attemptMs());
    const { transport } = this.#caller;
    const stream = transport.open(this.#source.method, request as never, within, this.#signal);
    for await (const batch of stream) {
      yield* this.#take(batch);
      if (this.left === 0) return;
    }
  }

  *#take(batch: EventBatch): Generator<CommitEvent | undefined, void, undefined> {
    this.epoch = batch.epoch || this.epoch;
    for (const message of batch.events) {
      if (this.cursor !== undefined && message.commitTs <= this.cursor) {
        throw errors.broken(`commit ${message.commitTs} after commit ${this.cursor}`);
      }
      if (this.#handedOut(message)) continue;
      this.left -= 1;
      yield eventOf(message, this.epoch);
      if (this.left === 0) return;
    }
    if (this.cursor !== undefined && batch.cursor < this.cursor) {
      throw errors.broken(`cursor ${batch.cursor} after commit ${this.cursor}`);
    }
    this.cursor = batch.cursor;
    if (this.#marks && batch.events.length === 0) yield undefined;
  }

  /**
   * Counts an event of a commit, and reports whether it was handed out before the stream was opened
   * again.
   */
  #handedOut(message: ReplayEvent): boolean {
    const { commitTs } = message;
    if (commitTs !== this.#at) {
      if (commitTs < this.#at) throw errors.broken(`commit ${commitTs} after commit ${this.#at}`);
      if (this.#at && this.#at > (this.cursor ?? 0n)) this.cursor = this.#at; // it is complete
      this.#at = commitTs;
      this.#count = 0;
    }
    this.#count += 1;
    if (commitTs === this.#part && this.#count <= this.#parts) return true;
    this.#part = commitTs;
    this.#parts = this.#count;
    return false;
  }
}

/** Reports whether a stream that ended so is opened again. */
function canResume(failed: unknown): failed is errors.StatehouseError {
  if (failed instanceof errors.ConnectionError) return true;
  // Refused for load, before it began.
  return failed instanceof errors.ResourceExhausted && failed.retryAfterMs !== undefined;
}
