/** Reading records: what a client and a transaction have in common. */

import { create } from "@bufbuild/protobuf";
import { compareBytes, existing, NATIVE, type Named, record } from "./answers.js";
import type { Caller, CallOptions } from "./calls.js";
import * as check from "./check.js";
import * as errors from "./errors.js";
import { pages } from "./pages.js";
import * as pb from "./proto/statehouse/v1/statehouse_pb.js";
import { at as atMessage, type Point } from "./times.js";
import type { Answer, Request } from "./transport.js";
import type { AnyValue, RecordName, StateRecord } from "./types.js";

/** Options of a read. */
export interface ReadOptions extends CallOptions {
  /** In another namespace than the client's. */
  namespace?: string;
  /** As of a point of the past; by default now. */
  at?: Point;
  /** A commit that the read must not be before: one's own last, wherever it was acknowledged. */
  minReadTs?: check.Integer;
  /**
   * The state may be so many milliseconds old: of daemons that keep one store any may answer, without asking
   * the others. With `minReadTs` a program sees its own writes. By default the read is of the newest state.
   */
  maxStalenessMs?: number;
}

/** Options of a list. */
export interface ListOptions extends ReadOptions {
  /** From last to first. */
  reverse?: boolean;
  /** At most this many. */
  limit?: number;
}

/** Options of a list of keys. */
export interface KeysOptions extends ListOptions {
  prefix?: string;
  /** Keys that have this text after the prefix are listed as one folder: what they have up to and with it. */
  delimiter?: string;
}

const CALL = ["signal", "timeoutMs"];
const READ = [...CALL, "namespace", "at", "minReadTs", "maxStalenessMs"];
const LIST = [...READ, "reverse", "limit"];

/** How many names the daemon takes in one BatchGetState. */
const BATCH = 1000;

type Asked = "getState" | "batchGetState" | "listKeys" | "scanPrefix";

/** A list that is asked for page after page. */
export interface Listed<M extends "listKeys" | "scanPrefix", T> {
  readonly method: M;
  readonly request: Request<M>;
  readonly limit: number;
  readonly signal: AbortSignal | undefined;
  readonly caller: Caller;
  items(answer: Answer<M>): T[];
}

/** Reads of one namespace, now or at an earlier point. A transaction has its own way to ask. */
export abstract class Reader {
  /** @internal */
  protected abstract readonly caller: Caller;

  /** Reads a record; null when it does not exist. */
  async getState<V = AnyValue>(
    agentId: string,
    key: string,
    options?: ReadOptions,
  ): Promise<StateRecord<V> | null> {
    check.options(options, ...READ);
    const named = this.named(agentId, key, options?.namespace);
    const answer = await this.ask(
      this.caller.for(options),
      "getState",
      create(pb.GetStateRequestSchema, { ...named, encoding: NATIVE, ...this.moment(options) }),
      check.signal(options?.signal),
    );
    return this.told(named, answer, answer.readTs);
  }

  /** Reads many records at one point of the total order; null for those that do not exist. */
  async getMany<V = AnyValue>(
    agentId: string,
    keys: Iterable<string | RecordName>,
    options?: ReadOptions,
  ): Promise<(StateRecord<V> | null)[]> {
    check.options(options, ...READ);
    const names = check
      .items("keys", keys)
      .map((key) =>
        typeof key === "object" && key !== null
          ? this.named(key.agentId, key.key, key.namespace ?? options?.namespace)
          : this.named(agentId, key, options?.namespace),
      );
    return this.many(names, options);
  }

  /** @internal */
  protected async many(names: Named[], options: ReadOptions | undefined) {
    const caller = this.caller.for(options);
    const moment = this.moment(options);
    const found: (StateRecord | null)[] = [];
    let size = BATCH;
    while (found.length < names.length) {
      const batch = names.slice(found.length, found.length + size);
      const request = create(pb.BatchGetStateRequestSchema, {
        names: batch,
        encoding: NATIVE,
        ...moment,
      });
      let answer: pb.BatchGetStateResponse;
      try {
        answer = await this.ask(caller, "batchGetState", request, options?.signal);
      } catch (refused) {
        // More bytes than an answer may have.
        if (batch.length === 1 || !(refused instanceof errors.ResourceExhausted)) throw refused;
        size = Math.floor(batch.length / 2);
        continue;
      }
      if (answer.states.length !== batch.length) {
        throw errors.broken(`${answer.states.length} records for ${batch.length} names`);
      }
      for (const [at, state] of answer.states.entries()) {
        found.push(this.told(batch[at] as Named, state, answer.readTs));
      }
      // Later batches read where the first one did.
      moment.at = create(pb.AtSchema, { point: { case: "commitTs", value: answer.readTs } });
    }
    return found;
  }

  /** Lists an agent's keys in byte order. */
  async listKeys(agentId: string, options?: KeysOptions): Promise<string[]> {
    const keys = [];
    for await (const key of this.scanKeys(agentId, options)) keys.push(key);
    return keys;
  }

  /** Hands out an agent's keys in byte order, as they are asked for. */
  scanKeys(agentId: string, options?: KeysOptions): AsyncGenerator<string, void, undefined> {
    check.options(options, ...LIST, "prefix", "delimiter");
    const { prefix, delimiter } = options ?? {};
    if (delimiter === "") {
      throw check.refused("delimiter", "the delimiter is empty: leave it out to list all keys");
    }
    const request = create(pb.ListKeysRequestSchema, {
      ...this.stretch(agentId, prefix, options),
      delimiter: delimiter === undefined ? "" : check.text("delimiter", delimiter),
    });
    return this.list({
      method: "listKeys",
      request,
      items: (answer) =>
        delimiter === undefined
          ? answer.keys
          : [...answer.keys, ...answer.folders].sort(ordered(request.reverse)),
      ...this.asked(options),
    });
  }

  /** Hands out an agent's records under a prefix, in byte order. */
  scanPrefix<V = AnyValue>(
    agentId: string,
    prefix = "",
    options?: ListOptions,
  ): AsyncGenerator<StateRecord<V>, void, undefined> {
    check.options(options, ...LIST);
    const request = create(pb.ScanPrefixRequestSchema, {
      ...this.stretch(agentId, prefix, options),
      encoding: NATIVE,
    });
    return this.list<"scanPrefix", StateRecord>({
      method: "scanPrefix",
      request,
      items: (answer) =>
        answer.entries.map((entry) =>
          existing({ ...this.of(request), key: entry.key }, entry, answer.readTs),
        ),
      ...this.asked(options),
    });
  }

  /** Makes the call of a read. @internal */
  protected ask<M extends Asked>(
    caller: Caller,
    name: M,
    request: Request<M>,
    signal: AbortSignal | undefined,
  ): Promise<Answer<M>> {
    return caller.call(name, request, signal);
  }

  /** Hands out what is on the pages of a list. @internal */
  protected list<M extends "listKeys" | "scanPrefix", T>(
    listed: Listed<M, T>,
  ): AsyncGenerator<T, void, undefined> {
    const { caller, method, request, signal } = listed;
    const ask = () => this.ask(caller, method, request, signal);
    return pages(caller.options.pageSize, request, listed.limit, ask, (answer) =>
      listed.items(answer),
    );
  }

  /** Makes a record of an answer. @internal */
  protected told(of: Named, answer: pb.GetStateResponse, readTs: bigint): StateRecord | null {
    return record(of, answer, readTs);
  }

  /** Makes the point that a read is at. @internal */
  protected moment(options: ReadOptions | undefined): MomentInit {
    return {
      at: atMessage(options?.at, "at"),
      minReadTs: check.optionalCount("minReadTs", options?.minReadTs) ?? 0n,
      maxStalenessMs: staleness(options?.maxStalenessMs),
    };
  }

  /** @internal */
  protected named(agentId: string, key: string, namespace: string | undefined): Named {
    return {
      namespace: this.caller.namespace(namespace),
      agentId: check.text("agentId", agentId),
      key: check.text("key", key),
    };
  }

  private stretch(agentId: string, prefix: string | undefined, options: ListOptions | undefined) {
    return {
      namespace: this.caller.namespace(options?.namespace),
      agentId: check.text("agentId", agentId),
      prefix: prefix === undefined ? "" : check.text("prefix", prefix),
      reverse: check.flag("reverse", options?.reverse),
      ...this.moment(options),
    };
  }

  private asked(options: ListOptions | undefined) {
    return {
      limit: check.limit(options?.limit),
      signal: check.signal(options?.signal),
      caller: this.caller.for(options),
    };
  }

  private of(request: { namespace: string; agentId: string }) {
    return { namespace: request.namespace, agentId: request.agentId };
  }
}

type MomentInit = { at?: pb.At | undefined; minReadTs: bigint; maxStalenessMs: bigint };

function staleness(ms: number | undefined): bigint {
  return ms === undefined ? 0n : check.wholeMilliseconds("maxStalenessMs", ms);
}

/** The order in which names are handed out. */
export function ordered(reverse: boolean): (a: string, b: string) => number {
  return reverse ? (a, b) => compareBytes(b, a) : compareBytes;
}
