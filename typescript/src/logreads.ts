/** Reads of the log, of many records at once, and of what the daemon is. */

import { create, type MessageShape } from "@bufbuild/protobuf";
import { agentOf, encoding, existing, historyOf, leaseOf, NATIVE } from "./answers.js";
import type { Caller, CallOptions } from "./calls.js";
import * as check from "./check.js";
import { replayFeed, watchFeed } from "./feeds.js";
import { collect, pages } from "./pages.js";
import * as pb from "./proto/statehouse/v1/statehouse_pb.js";
import { Reader, type ReadOptions } from "./reads.js";
import { commitTs, instant, type Point } from "./times.js";
import type {
  Agent,
  AnyValue,
  CommitEvent,
  HistoryEntry,
  LeaseInfo,
  StateRecord,
} from "./types.js";

/** Options of a list that is not as of a moment. */
export interface PageOptions extends CallOptions {
  namespace?: string;
  prefix?: string;
  limit?: number;
}

export interface HistoryOptions extends Omit<ReadOptions, "maxStalenessMs"> {
  /** From the first version to the last; by default newest first. */
  oldestFirst?: boolean;
  limit?: number;
  /** false: leave values out. */
  values?: boolean;
}

export interface EventsOptions {
  /** Only operations on keys with this prefix, only commits that have one. */
  prefix?: string;
  values?: boolean;
  namespace?: string;
  /** In which the cursor was learnt, as the event says: save both to resume. */
  epoch?: string;
  /** Also operations on leases and due records, and acts on ranges as one operation each. */
  allOperations?: boolean;
  signal?: AbortSignal;
}

export interface ReplayOptions extends EventsOptions {
  /** Both ends are inclusive. */
  from?: Point;
  to?: Point;
  limit?: number;
  /** Of an agent that was forked: first the events of what it was forked from, up to there. */
  withLineage?: boolean;
}

export interface WatchOptions extends EventsOptions {
  /** Events after this commitTs; by default after the last commit now. */
  after?: check.Integer;
  /** Ends after so many milliseconds; by default never. */
  forMs?: number;
}

export const CALL = ["signal", "timeoutMs"];
export const PAGE = [...CALL, "namespace", "prefix", "limit"];
const EVENTS = ["prefix", "values", "namespace", "epoch", "allOperations", "signal"];
export const READ = [...CALL, "namespace", "at", "minReadTs", "limit", "values"];

type PagedName = "getHistory" | "listAgents" | "listNamespaces" | "listLeases" | "find" | "diff";

/** Reads of the log, and of many records at once. */
export abstract class LogReader extends Reader {
  /** Reads one version of a record; null of one that was a delete. */
  async getStateAtVersion<V = AnyValue>(
    agentId: string,
    key: string,
    version: check.Integer,
    options?: CallOptions & { namespace?: string },
  ): Promise<StateRecord<V> | null> {
    check.options(options, ...CALL, "namespace");
    const named = this.named(agentId, key, options?.namespace);
    const request = create(pb.GetStateAtVersionRequestSchema, {
      ...named,
      version: check.count("version", version),
      encoding: NATIVE,
    });
    const answer = await this.caller
      .for(options)
      .call("getStateAtVersion", request, check.signal(options?.signal));
    return answer.exists ? existing(named, answer, 0n) : null;
  }

  /** Hands out the versions of a record, newest first. */
  history<V = AnyValue>(
    agentId: string,
    key: string,
    options?: HistoryOptions,
  ): AsyncGenerator<HistoryEntry<V>, void, undefined> {
    check.options(options, ...READ, "oldestFirst");
    const named = this.named(agentId, key, options?.namespace);
    const request = create(pb.GetHistoryRequestSchema, {
      ...named,
      encoding: encoding(options?.values),
      oldestFirst: check.flag("oldestFirst", options?.oldestFirst),
      ...this.moment(options),
    });
    return this.pages("getHistory", request, options, ({ entries }) =>
      entries.map((entry) => historyOf(named, entry)),
    );
  }

  /** Lists the agents of a namespace in byte order. */
  async listAgents(options?: PageOptions): Promise<Agent[]> {
    check.options(options, ...PAGE);
    const request = create(pb.ListAgentsRequestSchema, this.#within(options));
    return collect(this.pages("listAgents", request, options, ({ agents }) => agents.map(agentOf)));
  }

  /** Lists the namespaces in byte order. */
  async listNamespaces(options?: CallOptions): Promise<string[]> {
    check.options(options, ...CALL);
    const request = create(pb.ListNamespacesRequestSchema);
    return collect(this.pages("listNamespaces", request, options, (answer) => answer.namespaces));
  }

  /** Lists the leases that are held, of an agent or of all. */
  async listLeases(options?: PageOptions & { agentId?: string }): Promise<LeaseInfo[]> {
    check.options(options, ...PAGE, "agentId");
    const request = create(pb.ListLeasesRequestSchema, {
      ...this.#within(options),
      agentId: options?.agentId === undefined ? "" : check.text("agentId", options.agentId),
    });
    return collect(this.pages("listLeases", request, options, ({ leases }) => leases.map(leaseOf)));
  }

  /** Replays commits of an agent, or of the whole namespace (null), in their order. */
  replay<V = AnyValue>(
    agentId: string | null,
    options: ReplayOptions = {},
  ): AsyncGenerator<CommitEvent<V>, void, undefined> {
    check.options(options, ...EVENTS, "from", "to", "limit", "withLineage");
    const request = create(pb.ReplayRequestSchema, {
      ...this.#events(agentId, options),
      withLineage: check.flag("withLineage", options.withLineage),
    });
    const { from, to } = options;
    let cursor = 0n;
    if (from instanceof Date || typeof from === "string") {
      request.startTime = instant(from, "from").first;
    } else if (from !== undefined) {
      const first = commitTs(from, "from");
      cursor = first > 0n ? first - 1n : 0n;
    }
    if (to instanceof Date || typeof to === "string") request.endTime = instant(to, "to").last;
    else if (to !== undefined) request.endTs = commitTs(to, "to");
    return replayFeed(this.caller, request, {
      cursor,
      limit: check.limit(options.limit),
      epoch: check.text("epoch", options.epoch ?? ""),
      signal: check.signal(options.signal),
    });
  }

  /**
   * Watches commits of an agent, or of the whole namespace (null), as they are made. It goes on where it
   * was when the connection breaks or the daemon is started again, without gap or duplicate.
   */
  watch<V = AnyValue>(
    agentId: string | null,
    options: WatchOptions = {},
  ): AsyncGenerator<CommitEvent<V>, void, undefined> {
    check.options(options, ...EVENTS, "after", "forMs");
    const request = create(pb.WatchRequestSchema, this.#events(agentId, options));
    const feed = watchFeed(this.caller, request, {
      cursor: check.optionalCount("after", options.after),
      ms:
        options.forMs === undefined
          ? Number.POSITIVE_INFINITY
          : check.milliseconds("forMs", options.forMs),
      epoch: check.text("epoch", options.epoch ?? ""),
      signal: check.signal(options.signal),
    });
    return feed as AsyncGenerator<CommitEvent<V>, void, undefined>;
  }

  /** @internal */
  protected pages<M extends PagedName, T>(
    name: M,
    request: MessageShape<(typeof pb.StatehouseService.method)[M]["input"]>,
    options: (CallOptions & { limit?: number }) | undefined,
    items: (answer: MessageShape<(typeof pb.StatehouseService.method)[M]["output"]>) => T[],
  ): AsyncGenerator<T, void, undefined> {
    const caller: Caller = this.caller.for(options);
    const signal = check.signal(options?.signal);
    const ask = () => caller.call(name, request, signal);
    return pages(caller.options.pageSize, request, check.limit(options?.limit), ask, items);
  }

  #within(options: PageOptions | undefined) {
    return {
      namespace: this.caller.namespace(options?.namespace),
      prefix: check.text("prefix", options?.prefix ?? ""),
    };
  }

  /** @internal */
  protected agents(agentId: string | null) {
    if (agentId === null) return { allAgents: true };
    return { agentId: check.text("agentId", agentId) };
  }

  #events(agentId: string | null, options: EventsOptions) {
    return {
      ...this.agents(agentId),
      namespace: this.caller.namespace(options.namespace),
      keyPrefix: check.text("prefix", options.prefix ?? ""),
      encoding: encoding(options.values),
      allOperations: check.flag("allOperations", options.allOperations),
    };
  }
}
