/**
 * Who may go on with a thread: whoever has read it as it still is.
 *
 * Two workers that resume one thread both read its latest checkpoint, and both would put one after it.
 * Checkpoints of a namespace are numbered, and a put takes the number after the latest one that its run has
 * read, on the condition that this is still there and the next is not: so one of them is refused, with
 * {@link ThreadConflict}. A put that names an older checkpoint as its parent begins a branch of the history,
 * under the same condition.
 *
 * What a run has read is kept under the object that the framework makes for it and hands on with every
 * configuration of the run; what this process has put is kept by the saver.
 */

import type { RunnableConfig } from "@langchain/core/runnables";
import { PreconditionFailed } from "../errors.js";
import { fromJson, toJson } from "../json.js";
import type { Body, Saved, Thread } from "./layout.js";

/** Another worker has gone on with the thread since this run read it. Nothing was written. */
export class ThreadConflict extends PreconditionFailed {
  static override advice =
    "Leave the thread to the other worker, or read it again and go on from its latest checkpoint. hold() lets one worker at a time begin";

  readonly threadId: string;
  readonly checkpointNs: string;
  /** The thread's latest checkpoint now; undefined: it has none. */
  readonly currentCheckpointId: string | undefined;

  constructor(thread: Thread, current: string | undefined, refused?: PreconditionFailed) {
    const now =
      current === undefined ? "it has no checkpoint" : `its latest checkpoint is ${current}`;
    const of = thread.namespace ? ` (checkpoint_ns ${JSON.stringify(thread.namespace)})` : "";
    super(`thread ${JSON.stringify(thread.threadId)}${of} is not as this run has read it: ${now}`, {
      ...(refused && { details: refused.details, cause: refused }),
      answered: refused?.answered ?? false,
    });
    this.maybeApplied = refused?.maybeApplied ?? false;
    this.threadId = thread.threadId;
    this.checkpointNs = thread.namespace;
    this.currentCheckpointId = current;
  }
}

/** The latest checkpoint, as somebody knows it. Number 0: there was none. */
export interface Place {
  readonly number: number;
  readonly version: bigint;
  /** The keys of the values that it has. */
  readonly values: ReadonlySet<string>;
}

const NOWHERE: Place = { number: 0, version: 0n, values: new Set() };

/** Where a checkpoint is. */
export function placeOf(found: Saved | undefined, values: Iterable<string> = []): Place {
  if (!found) return NOWHERE;
  return { number: found.number, version: found.version, values: new Set(values) };
}

/** How many checkpoints a saver remembers to have put, to have read and to have written to. */
const REMEMBERED = 4096;
/** Of how many namespaces it remembers the latest checkpoint. */
const LATEST = 512;

/** What a saver, and the runs that use it, know of threads. */
export class Memory {
  /** What runs have read. */
  readonly #runs = new WeakMap<object, Map<string, Place>>();
  /** Checkpoints that this process has put, or found. */
  readonly #put = new Map<string, Place>();
  /** What the latest one was when a checkpoint was asked for by its id, by whoever is no run. */
  readonly #read = new Map<string, Place>();
  /** The latest checkpoints, of which the bodies are JSON: what is made of them is changed by others. */
  readonly #latest = new Map<string, Omit<Saved, "body"> & { readonly body: Uint8Array }>();
  /** The highest numbers of writes to checkpoints. */
  readonly #written = new Map<string, number>();

  /** Remembers as what a run has read a thread. */
  hasRead(config: RunnableConfig, thread: Thread, latest: Place): void {
    const run = runOf(config);
    const asked: unknown = config.configurable?.checkpoint_id;
    if (run) {
      const known = this.#runs.get(run) ?? new Map<string, Place>();
      known.set(nameOf(thread), latest);
      this.#runs.set(run, known);
    } else if (typeof asked === "string" && asked !== "") {
      remember(this.#read, nameOf(thread, asked), latest);
    }
  }

  /** Remembers where a checkpoint is. */
  hasPut(config: RunnableConfig, thread: Thread, checkpointId: string, place: Place): void {
    remember(this.#put, nameOf(thread, checkpointId), place);
    const run = runOf(config);
    const known = run && this.#runs.get(run)?.get(nameOf(thread));
    if (run && place.number >= (known?.number ?? 0)) {
      this.hasRead(config, thread, place);
    }
  }

  /**
   * Remembers the latest checkpoint, for whoever reads it again to ask for all of it at once. Whether it is
   * still the latest, the answer says.
   */
  isLatest(thread: Thread, found: Saved): void {
    const body = toJson({ ...found.body });
    remember(this.#latest, nameOf(thread), { ...found, body }, LATEST);
  }

  /** The checkpoint that was the latest when this process put or read it. */
  latest(thread: Thread): Saved | undefined {
    const known = this.#latest.get(nameOf(thread));
    return known && { ...known, body: fromJson(known.body) as unknown as Body };
  }

  /**
   * Counts writes to a checkpoint that are about to be sent, and answers the number that the last of them
   * gets, or more if there are some that are not known here.
   */
  willWrite(thread: Thread, checkpointId: string, count: number): number {
    const last = (this.#written.get(nameOf(thread, checkpointId)) ?? 0) + count;
    remember(this.#written, nameOf(thread, checkpointId), last);
    return last;
  }

  /** Remembers which number the daemon gave to a write. */
  hasWritten(thread: Thread, checkpointId: string, number: number): void {
    const last = this.#written.get(nameOf(thread, checkpointId)) ?? 0;
    remember(this.#written, nameOf(thread, checkpointId), Math.max(last, number));
  }

  /** Where this process has put, or found, a checkpoint. */
  place(thread: Thread, checkpointId: string): Place | undefined {
    return this.#put.get(nameOf(thread, checkpointId));
  }

  /**
   * The latest checkpoint as whoever puts one after `parent` knows it; undefined: it does not. A run has
   * read the thread at its begin, and knows each checkpoint that it has put since: the later of both is
   * what it knows.
   */
  base(config: RunnableConfig, thread: Thread, parent: string | undefined): Place | undefined {
    const run = runOf(config);
    const read = run
      ? this.#runs.get(run)?.get(nameOf(thread))
      : parent && this.#read.get(nameOf(thread, parent));
    const put = parent ? this.place(thread, parent) : undefined;
    if (!read || !put) return read || put || undefined;
    return put.number > read.number ? put : read;
  }

  /** Forgets a thread of which something was deleted. */
  forget(agent: string): void {
    for (const known of [this.#put, this.#read, this.#latest]) {
      for (const name of known.keys()) if (name.startsWith(`${agent}\0`)) known.delete(name);
    }
  }
}

function nameOf(thread: Thread, checkpointId = ""): string {
  return `${thread.agent}\0${thread.namespace}\0${checkpointId}`;
}

function remember<T>(known: Map<string, T>, name: string, what: T, most = REMEMBERED): void {
  known.delete(name);
  known.set(name, what);
  if (known.size > most) known.delete(known.keys().next().value as string);
}

/**
 * The object that the framework makes for each run, and hands on with its configurations: its control, in
 * versions before there was one its writer.
 */
function runOf(config: RunnableConfig): object | undefined {
  const { control, writer } = config as { control?: unknown; writer?: unknown };
  for (const made of [control, writer]) {
    if (typeof made === "function" || (typeof made === "object" && made !== null)) return made;
  }
  return undefined;
}
