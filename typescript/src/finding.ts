/** Reads that look at many records to answer with some. */

import { create } from "@bufbuild/protobuf";
import { agentOf, diffOf, encoding, existing } from "./answers.js";
import type { CallOptions } from "./calls.js";
import * as check from "./check.js";
import * as errors from "./errors.js";
import { Condition } from "./filters.js";
import { CALL, LogReader, PAGE, READ } from "./logreads.js";
import * as pb from "./proto/statehouse/v1/statehouse_pb.js";
import type { ReadOptions } from "./reads.js";
import { at, date, type Point } from "./times.js";
import type { AgentDetails, AnyValue, KeyDiff, StateRecord } from "./types.js";

export interface FindOptions extends ReadOptions {
  /** All of them must hold. */
  where?: Condition | Iterable<Condition>;
  prefix?: string;
  /** `"changed"`: the record that was changed last comes first; of one agent only. */
  order?: "key" | "changed";
  limit?: number;
  values?: boolean;
  /** Also the metadata of each record's last commit. */
  metadata?: boolean;
}

export interface DiffOptions extends CallOptions {
  /** From this point; by default, of one agent: all that there is, as added. */
  from?: Point;
  to?: Point;
  prefix?: string;
  limit?: number;
  values?: boolean;
  namespace?: string;
  toNamespace?: string;
}

/** Finding records by what they hold, comparing states, and where an agent comes from. */
export abstract class Finder extends LogReader {
  /**
   * Hands out the records that conditions select, of an agent or of all (null). There is no index: it
   * looks at every record in scope.
   */
  find<V = AnyValue>(
    agentId: string | null,
    options: FindOptions = {},
  ): AsyncGenerator<StateRecord<V>, void, undefined> {
    check.options(options, ...READ, "maxStalenessMs", "where", "prefix", "order", "metadata");
    const metadata = check.flag("metadata", options.metadata);
    const request = create(pb.FindRequestSchema, {
      ...this.agents(agentId),
      namespace: this.caller.namespace(options.namespace),
      prefix: check.text("prefix", options.prefix ?? ""),
      where: conditionsOf(options.where),
      encoding: encoding(options.values),
      order: orderOf(options.order),
      withMetadata: metadata,
      ...this.moment(options),
    });
    return this.pages("find", request, options, (answer) =>
      answer.entries.map((entry) =>
        existing(entry, entry, answer.readTs, metadata ? { ...entry.metadata } : undefined),
      ),
    );
  }

  /**
   * Hands out the keys whose state differs between two points of an agent, or between two agents (as
   * they are now, or at the points), with a JSON Patch.
   */
  diff<V = AnyValue>(
    agentId: string,
    toAgentId?: string | null,
    options: DiffOptions = {},
  ): AsyncGenerator<KeyDiff<V>, void, undefined> {
    check.options(options, ...PAGE, "from", "to", "values", "toNamespace");
    const namespace = this.caller.namespace(options.namespace);
    const other = (toAgentId ?? undefined) !== undefined || options.toNamespace !== undefined;
    const toNamespace =
      options.toNamespace === undefined ? namespace : this.caller.namespace(options.toNamespace);
    const toAgent = toAgentId ?? agentId;
    const request = create(pb.DiffRequestSchema, {
      namespace,
      agentId: check.text("agentId", agentId),
      from: at(options.from, "from"),
      to: at(options.to, "to"),
      toNamespace: other ? toNamespace : "",
      toAgentId: other ? check.text("toAgentId", toAgent) : "",
      prefix: check.text("prefix", options.prefix ?? ""),
      encoding: encoding(options.values),
    });
    const sides = [
      { namespace, agentId },
      { namespace: toNamespace, agentId: toAgent },
    ] as const;
    const feed = this.pages("diff", request, options, (answer) =>
      answer.keys.map((key) => diffOf(sides, key, answer)),
    );
    return other && !request.from ? this.#now(request, options, feed) : feed;
  }

  /** Compares two agents as they are at one commit: now, or at the end that is given. */
  async *#now<T>(request: pb.DiffRequest, options: CallOptions, feed: AsyncIterable<T>) {
    request.to ??= create(pb.AtSchema, {
      point: { case: "commitTs", value: await this.#readTs(request, options) },
    });
    request.from = request.to;
    yield* feed;
  }

  async #readTs(of: { namespace: string; agentId: string }, options: CallOptions): Promise<bigint> {
    const { namespace, agentId } = of;
    const some = create(pb.ListKeysRequestSchema, { namespace, agentId, limit: 1 });
    return (await this.caller.for(options).call("listKeys", some, options.signal)).readTs;
  }

  /** Answers an agent's head, what it was forked from, and its forks; null: it has no commit. */
  async getAgent(
    agentId: string,
    options?: CallOptions & { namespace?: string },
  ): Promise<AgentDetails | null> {
    check.options(options, ...CALL, "namespace");
    const request = create(pb.GetAgentRequestSchema, {
      namespace: this.caller.namespace(options?.namespace),
      agentId: check.text("agentId", agentId),
    });
    const answer = await this.caller
      .for(options)
      .call("getAgent", request, check.signal(options?.signal));
    if (!answer.agent) return null;
    const origin = answer.forkedFrom;
    return {
      ...agentOf(answer.agent),
      forkedFrom: origin && {
        agentId: origin.agentId,
        namespace: origin.namespace,
        commitTs: origin.commitTs,
        forkedTs: origin.forkedTs,
        forkedAt: date(origin.forkedAt),
      },
      forks: answer.forks.map(agentOf),
    };
  }
}

function conditionsOf(where: FindOptions["where"]): Condition[] {
  if (where === undefined) return [];
  const given = where instanceof Condition ? [where] : check.items("where", where);
  for (const one of given) {
    if (!(one instanceof Condition)) {
      throw check.refused(
        "where",
        `conditions are such as F("/status").eq("open"), not ${check.brief(one)}`,
      );
    }
  }
  return given;
}

function orderOf(order: unknown): pb.FindOrder {
  if (order === undefined || order === "key") return pb.FindOrder.KEY;
  if (order === "changed") return pb.FindOrder.CHANGED;
  throw new errors.InvalidArgument(`order is "key" or "changed", not ${check.brief(order)}`, {
    details: { field: "order" },
  });
}
