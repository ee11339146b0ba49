/**
 * What a transaction has read, which must still hold when it commits.
 *
 * It is all of one snapshot, that of the answer which came first. Recorded is what the user was told, and
 * no more: of a list the stretch of keys that was handed out. What the transaction itself has written is
 * not read.
 */

import { create, toBinary } from "@bufbuild/protobuf";
import type { Named } from "./answers.js";
import * as pb from "./proto/statehouse/v1/statehouse_pb.js";
import { nameKey, nameSize, over, READS } from "./staged.js";

/** Bytes that an entry takes besides its names, and that a key may have. */
const ENTRY = 24;
const KEY = 1024;

/** The keys of an agent that a list has handed out so far. */
export class Stretch {
  readonly range: pb.ReadRange;
  readonly #reverse: boolean;

  constructor(request: { namespace: string; agentId: string; prefix: string; reverse: boolean }) {
    const { namespace, agentId, prefix } = request;
    this.#reverse = request.reverse;
    this.range = create(pb.ReadRangeSchema, { namespace, agentId, prefix });
  }

  /** Extends it to a key; empty: to the end of the list. */
  reach(key: string): void {
    if (this.#reverse) this.range.first = key;
    else this.range.last = key;
  }
}

/** Records and stretches that were read. */
export class ReadSet {
  /** The commit that all of it was read after. undefined: nothing was read. */
  snapshot: bigint | undefined;
  /** About how many bytes it takes in a request. */
  bytes = 0;
  readonly #epoch: string;
  readonly #keys = new Map<string, pb.ReadKey>();
  readonly #stretches = new Set<Stretch>();

  /** `epoch`: that the transaction began in; empty: unknown. */
  constructor(epoch: string) {
    this.#epoch = epoch;
  }

  get empty(): boolean {
    return this.#keys.size + this.#stretches.size === 0;
  }

  /** Adds a record at the version that was read; 0: never written. */
  saw(of: Named, version: bigint): void {
    const name = nameKey(of);
    if (this.#keys.has(name)) return; // read again at the same snapshot it is the same version
    this.#oneMore(nameSize(of));
    this.#keys.set(name, create(pb.ReadKeySchema, { ...of, version }));
  }

  /** Extends a stretch to a key; empty: to the end of the list. */
  reach(stretch: Stretch, key: string): void {
    if (!this.#stretches.has(stretch)) {
      const { namespace, agentId, prefix } = stretch.range;
      this.#oneMore(nameSize({ namespace, agentId, key: prefix }) + KEY);
      this.#stretches.add(stretch);
    }
    stretch.reach(key);
  }

  #oneMore(size: number): void {
    const count = this.#keys.size + this.#stretches.size;
    if (count >= READS) throw over("reads", count + 1, READS);
    this.bytes += ENTRY + size;
  }

  /** Makes the message, in which no stretch is twice. */
  message(): pb.ReadSet {
    const ranges = new Map<string, pb.ReadRange>();
    for (const { range } of this.#stretches) {
      ranges.set(Buffer.from(toBinary(pb.ReadRangeSchema, range)).toString("latin1"), range);
    }
    return create(pb.ReadSetSchema, {
      snapshotTs: this.snapshot ?? 0n,
      epoch: this.#epoch,
      keys: [...this.#keys.values()],
      ranges: [...ranges.values()],
    });
  }
}
