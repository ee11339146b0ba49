/**
 * Where the parts of a thread are kept: an agent a thread, a record a part. It is the layout of the Python
 * SDK's saver.
 *
 * - `c/NAMESPACE/0000000007`: the seventh checkpoint of a checkpoint namespace, as JSON, without the values
 *   of its channels
 * - `i/NAMESPACE/ID`: the number of the checkpoint of this id
 * - `v/NAMESPACE/CHANNEL/VERSION`: a channel's value, as bytes
 * - `w/NAMESPACE/ID/0000000000000001`: what one `putWrites` wrote to a checkpoint
 * - `w/NAMESPACE/ID/+`: that there are writes under other numbers than 1 to 4
 * - `w/NAMESPACE/ID/+NAME`: what did not fit into the commit of a `putWrites`
 *
 * A value is written once, by the first checkpoint that has it: later ones name its version. It is bytes
 * under a content type that names the serializer's type. What is larger than a record may be goes on in
 * records of the same name with `~1`, `~2`… after it; the content type says how many.
 *
 * Writes are numbered by the daemon, which gives no number twice: not after the checkpoint was deleted and put
 * again, nor after an operator has set the thread back. So the first of those that are there may have any
 * number, and whoever is given one above 4 says so in a record of its own.
 */

import type { SerializerProtocol } from "@langchain/langgraph-checkpoint";
import { DataLoss, UsageError } from "../errors.js";
import { type AnyOperation, type ContentOptions, op } from "../operations.js";
import type { AnyValue, StateRecord } from "../types.js";

/** Bytes of a record; the daemon takes 1 MiB unless it is told otherwise. */
const PART = 900_000;
/** The writes of how many numbers a read of a checkpoint looks for before it lists them. */
export const GUESSED = 4;
const CONTENT = "application/vnd.langgraph.";
const CONTENT_TYPE =
  /^application\/vnd\.langgraph\.([^;]*)(?:;parts=(\d+))?(?:;ahead=([0-9a-f]+))?$/;

/** One checkpoint namespace of a thread. */
export class Thread {
  readonly threadId: string;
  readonly namespace: string;
  readonly agent: string;
  readonly #quoted: string;

  constructor(threadId: string, namespace: string, agent: string) {
    this.threadId = threadId;
    this.namespace = namespace;
    this.agent = agent;
    this.#quoted = quoted(namespace);
  }

  /** What the keys of its checkpoints begin with. */
  get checkpoints(): string {
    return `c/${this.#quoted}/`;
  }

  /** What the keys of its channels' values begin with. */
  get values(): string {
    return `v/${this.#quoted}/`;
  }

  /** The key of a checkpoint. */
  checkpoint(number: number): string {
    return this.checkpoints + String(number).padStart(10, "0");
  }

  /** The key of the record that says which number a checkpoint has. */
  index(checkpointId: string): string {
    return `i/${this.#quoted}/${quoted(checkpointId)}`;
  }

  /** The key of a channel's value. */
  value(channel: string, version: number | string): string {
    return `${this.values}${quoted(channel)}/${version}`;
  }

  /** What the keys of the writes to a checkpoint begin with. */
  writes(checkpointId: string): string {
    return `w/${this.#quoted}/${quoted(checkpointId)}/`;
  }

  /** The key of the record that says that a read has to list the writes to a checkpoint. */
  more(checkpointId: string): string {
    return `${this.writes(checkpointId)}+`;
  }

  /** The key of writes that did not fit into a commit, and are there before it. */
  ahead(checkpointId: string, name: string): string {
    return `${this.more(checkpointId)}${name}`;
  }
}

/** Writes a name so that it has no control character and no `/`. */
function quoted(name: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: no key may have one
  return name.replace(/[%\x00-\x1f\x7f/]/g, (found) => {
    return `%${found.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`;
  });
}

/** Reads what {@link quoted} wrote. */
export function unquoted(name: string): string {
  return name.replace(/%([0-9A-F]{2})/g, (_, code) =>
    String.fromCharCode(Number.parseInt(code, 16)),
  );
}

/** What is kept of a checkpoint, as the framework serializes it. */
export interface Body {
  readonly id: string;
  /** All of it but its id and the values of its channels. */
  readonly checkpoint: {
    readonly channel_versions: { readonly [channel: string]: number | string };
  };
  readonly metadata: { readonly [key: string]: AnyValue };
  /** The channels that have a value. */
  readonly values: readonly string[];
  /** The id of the checkpoint that it follows. */
  readonly parent?: string;
  /** Nothing had been written to it when it was put, so that all writes to it came later. */
  readonly unwritten?: true;
}

/** A checkpoint as it is kept. */
export interface Saved {
  readonly number: number;
  readonly version: bigint;
  readonly body: Body;
  readonly readTs: bigint;
}

/** What is left of a checkpoint that was deleted before others. */
export const DELETED = { deleted: true };

/** Reports whether a checkpoint is there, and not what is left of one. */
export function isCheckpoint(record: StateRecord<Body>): boolean {
  return "id" in record.value;
}

/** Reads a checkpoint's record. */
export function saved(record: StateRecord<Body>): Saved {
  const { version, value: body, readTs } = record;
  return { number: numberAt(record.key), version, body, readTs };
}

/** The number that a key ends with. */
export function numberAt(key: string): number {
  return Number(key.slice(key.lastIndexOf("/") + 1));
}

/** The keys of the values of a checkpoint, by channel. */
export function valueKeys(thread: Thread, body: Body): Map<string, string> {
  const versions = body.checkpoint.channel_versions;
  return new Map(
    body.values.map((channel) => [channel, thread.value(channel, versions[channel] as string)]),
  );
}

/** The keys that the first writes to a checkpoint have as a rule. */
export function guesses(thread: Thread, checkpointId: string): string[] {
  const prefix = thread.writes(checkpointId);
  return Array.from({ length: GUESSED }, (_, at) => prefix + String(at + 1).padStart(16, "0"));
}

/** The keys by which to find what was written to a checkpoint. */
export function writesOf(thread: Thread, checkpointId: string): string[] {
  return [...guesses(thread, checkpointId), thread.more(checkpointId)];
}

/** The key of a part of a value. */
export function partKey(key: string, at: number): string {
  return at === 0 ? key : `${key}~${at}`;
}

/** The key of the value that a key is, or is a part, of. */
export function wholeKey(key: string): string {
  return key.replace(/~\d+$/, "");
}

/** A value as the serializer writes it, cut into what a record may be. */
export async function serialized(
  serde: SerializerProtocol,
  value: unknown,
): Promise<{ part: Uint8Array; options: ContentOptions }[]> {
  const [kind, data] = await serde.dumpsTyped(value);
  const count = Math.max(1, Math.ceil(data.length / PART));
  return Array.from({ length: count }, (_, at) => ({
    part: data.subarray(at * PART, (at + 1) * PART),
    options: { contentType: CONTENT + (at === 0 && count > 1 ? `${kind};parts=${count}` : kind) },
  }));
}

/** Makes the writes of a value. */
export async function valueWrites(
  serde: SerializerProtocol,
  agent: string,
  key: string,
  value: unknown,
): Promise<(AnyOperation & { type: "write" })[]> {
  const parts = await serialized(serde, value);
  return parts.map(
    ({ part, options }, at) =>
      op.write(agent, partKey(key, at), part, options) as AnyOperation & { type: "write" },
  );
}

/**
 * What the content type of a record says: the serializer's type, of how many records the value is made, and
 * where they are if not there.
 */
export function contentOf(record: StateRecord): { kind: string; parts: number; ahead: string } {
  const read = CONTENT_TYPE.exec(record.contentType);
  if (!read) {
    throw new DataLoss(
      `${record.key} of agent ${record.agentId} is ${record.contentType || "JSON"}, which this package does not write`,
    );
  }
  return { kind: read[1] as string, parts: Number(read[2] ?? 1), ahead: read[3] ?? "" };
}

/** Reads a value that was written as {@link serialized} does, here or by the Python SDK. */
export async function deserialized(
  serde: SerializerProtocol,
  kind: string,
  parts: readonly Uint8Array[],
): Promise<AnyValue> {
  const data = parts.length === 1 ? (parts[0] as Uint8Array) : Buffer.concat(parts);
  if (kind === "null") return null; // Python's None
  try {
    return await serde.loadsTyped(kind, data);
  } catch (error) {
    if (!String(error).includes("Unknown serialization type")) throw error;
    throw new UsageError(
      `the value was written as ${kind}, which this serializer does not read: threads that are to be read in Python and JavaScript have to be written as JSON`,
      { cause: error },
    );
  }
}
