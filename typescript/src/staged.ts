/**
 * What a transaction has written and not committed yet, and what it may hold.
 *
 * The limits are the daemon's defaults (docs/OPERATIONS.md), with its words: so that a transaction that
 * no daemon will commit is refused at the write that is too much.
 */

import { create } from "@bufbuild/protobuf";
import { compareBytes, type Named } from "./answers.js";
import { ResourceExhausted } from "./errors.js";
import { isEvaluated } from "./messages.js";
import * as pb from "./proto/statehouse/v1/statehouse_pb.js";

/** Writes and deletes of a transaction, and conditions on their records. */
const OPERATIONS = 5000;
/** Bytes of their names and values. */
const BYTES = 7 << 19;
/** Records and stretches that it reads. */
export const READS = 10_000;
/** Bytes of all that, which have to fit into one message. */
export const TOGETHER = (4 << 20) - (64 << 10);

/** Makes the error for a limit that is reached. */
export function over(what: string, count: number, limit: number): ResourceExhausted {
  return new ResourceExhausted(`${what} of a transaction: ${count}, the limit is ${limit}`, {
    details: { what: `${what} of a transaction`, limit: String(limit) },
  });
}

/** Operations in the order in which they were staged; a write or delete of a record replaces an earlier one. */
export class Staged {
  /** Of names and values. */
  bytes = 0;
  /** Writes and deletes by their record; what is evaluated by a number, too. */
  readonly #operations = new Map<string, pb.TransactOperation>();
  /** Conditions of writes that a later write of their record has replaced. */
  readonly #replaced: pb.KeyPrecondition[] = [];
  #conditions = 0;
  #count = 0;
  /** When each record was last written or deleted, and what was evaluated when, by that count. */
  readonly #written = new Map<string, number>();
  readonly #evaluated: [number, pb.TransactOperation][] = [];

  /**
   * Stages a write or delete, in the place of an earlier one of the record, whose condition stays; or
   * what is evaluated at the commit, after what is staged.
   */
  put(operation: pb.TransactOperation): void {
    const name = nameKey(operation);
    const late = isEvaluated(operation);
    const old = late ? undefined : this.#operations.get(name);
    const size = this.bytes + sizeOf(operation) - (old ? sizeOf(old) : 0);
    const expects = operation.expectedVersion !== undefined;
    if (!old && this.#operations.size >= OPERATIONS) {
      throw over("operations", this.#operations.size + 1, OPERATIONS);
    }
    if (expects && this.#conditions >= OPERATIONS) {
      throw over("preconditions", this.#conditions + 1, OPERATIONS);
    }
    if (size > BYTES) throw over("bytes", size, BYTES);
    if (old) this.#keepCondition(old, operation);
    this.#count += 1;
    if (late) {
      this.#operations.set(`${name}\0${this.#count}`, operation);
      this.#evaluated.push([this.#count, operation]);
    } else {
      // It comes after what is evaluated.
      if (old && this.undecided(operation)) this.#operations.delete(name);
      this.#operations.set(name, operation);
      this.#written.set(name, this.#count);
    }
    if (expects) this.#conditions += 1;
    this.bytes = size;
  }

  #keepCondition(old: pb.TransactOperation, now: pb.TransactOperation): void {
    const { namespace, agentId, key, expectedVersion } = old;
    if (expectedVersion === undefined) return;
    if (now.expectedVersion === undefined) now.expectedVersion = expectedVersion;
    else if (now.expectedVersion !== expectedVersion) {
      this.#replaced.push(
        create(pb.KeyPreconditionSchema, { namespace, agentId, key, expectedVersion }),
      );
    }
  }

  /** Returns the write or delete that was last staged of a record. */
  get(of: Named): pb.TransactOperation | undefined {
    return this.#operations.get(nameKey(of));
  }

  /** Returns an operation that decides at the commit what becomes of a record. */
  undecided(of: Named): pb.TransactOperation | undefined {
    const written = this.#written.get(nameKey(of)) ?? 0;
    return this.#evaluated.find(
      ([at, operation]) =>
        at > written &&
        isSameAgent(operation, of) &&
        (of.key === operation.key || (isOfMany(operation) && of.key.startsWith(operation.key))),
    )?.[1];
  }

  /** Returns an operation that decides at the commit what is under a prefix. */
  undecidedWithin(of: { namespace: string; agentId: string }, prefix: string) {
    return this.#evaluated.find(
      ([, operation]) =>
        isSameAgent(operation, of) &&
        (operation.key.startsWith(prefix) ||
          (isOfMany(operation) && prefix.startsWith(operation.key))),
    )?.[1];
  }

  /** Returns the writes and deletes that were staged under a prefix, in byte order. */
  within(of: { namespace: string; agentId: string }, prefix: string): pb.TransactOperation[] {
    return [...this.#operations.values()]
      .filter((op) => !isEvaluated(op) && isSameAgent(op, of) && op.key.startsWith(prefix))
      .sort((a, b) => compareBytes(a.key, b.key));
  }

  /** Returns which of the operations, counted from 0, one is. */
  place(operation: pb.TransactOperation): number {
    return this.operations().indexOf(operation);
  }

  /** Returns what to commit. */
  operations(): pb.TransactOperation[] {
    return [...this.#operations.values()];
  }

  /** Returns the conditions that no operation carries. */
  conditions(): pb.KeyPrecondition[] {
    return this.#replaced;
  }
}

/** Reports whether an operation is on what is under its key. */
function isOfMany(op: pb.TransactOperation): boolean {
  return !(op.increment || op.mergeJson.length > 0 || op.put?.ifAbsent);
}

function isSameAgent(
  a: { namespace: string; agentId: string },
  b: { namespace: string; agentId: string },
): boolean {
  return a.agentId === b.agentId && a.namespace === b.namespace;
}

/** A record by namespace, agent and key, none of which has a control character. */
export function nameKey(of: Named): string {
  return `${of.namespace}\0${of.agentId}\0${of.key}`;
}

function sizeOf(op: pb.TransactOperation): number {
  const { put } = op;
  const kept = put
    ? put.valueJson.length + (put.valueBytes?.length ?? 0) + put.contentType.length
    : 0;
  return nameSize(op) + op.valueJson.length + op.mergeJson.length + kept;
}

/** Returns how many bytes a name has. */
export function nameSize(of: Named): number {
  return (
    Buffer.byteLength(of.namespace) + Buffer.byteLength(of.agentId) + Buffer.byteLength(of.key)
  );
}
