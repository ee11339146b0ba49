/** What the daemon is, and what goes on in it. */

import { create } from "@bufbuild/protobuf";
import type { CallOptions } from "./calls.js";
import * as check from "./check.js";
import { Finder } from "./finding.js";
import { CALL } from "./logreads.js";
import * as pb from "./proto/statehouse/v1/statehouse_pb.js";
import { codeName } from "./status.js";
import { date, moment } from "./times.js";
import type { ClusterStatus, OpenStream, Refusal, Status } from "./types.js";

/** Of which namespaces is listed what goes on. */
export interface LookOptions extends CallOptions {
  /** By default the client's own. */
  namespace?: string;
  /** Of all that the client may read, and what has none. */
  allNamespaces?: boolean;
  /** How many to list at most; by default all. */
  limit?: number;
}

const LOOK = [...CALL, "namespace", "allNamespaces", "limit"];

const KINDS = new Map<pb.StreamKind, OpenStream["kind"]>([
  [pb.StreamKind.WATCH, "watch"],
  [pb.StreamKind.REPLAY, "replay"],
  [pb.StreamKind.SESSION, "session"],
]);

/** Questions about the daemon itself. */
export abstract class DaemonReader extends Finder {
  /** Answers `"ok"` while the daemon serves. */
  async health(options?: CallOptions): Promise<string> {
    check.options(options, ...CALL);
    const signal = check.signal(options?.signal);
    return (await this.caller.for(options).call("health", create(pb.HealthRequestSchema), signal))
      .status;
  }

  /** Names the daemon's build. */
  async version(options?: CallOptions): Promise<{ version: string; gitSha: string }> {
    check.options(options, ...CALL);
    const { version, gitSha } = await this.caller
      .for(options)
      .call("version", create(pb.VersionRequestSchema), check.signal(options?.signal));
    return { version, gitSha };
  }

  /** Tells how far the store is and how large. */
  async status(options?: CallOptions): Promise<Status> {
    check.options(options, ...CALL);
    const answer = await this.caller
      .for(options)
      .call("getStatus", create(pb.GetStatusRequestSchema), check.signal(options?.signal));
    const { publishedTs, openTransactions, diskUsedBytes, diskFreeBytes, writesRefused } = answer;
    const { durable, storeId, formatVersion, epoch, epochBeganTs, principal } = answer;
    const { sessions, sessionRequests } = answer;
    return {
      publishedTs,
      lastCommitTime: moment(answer.lastCommitTime),
      openTransactions,
      diskUsedBytes,
      diskFreeBytes,
      writesRefused,
      durable,
      storeId,
      formatVersion,
      epoch,
      epochBeganTs,
      principal,
      sessions,
      sessionRequests,
      cluster: answer.cluster && clusterOf(answer.cluster),
    };
  }

  /** Lists what the daemon refused in the last hour, the last first; like refusals together. */
  async listRefusals(
    options?: LookOptions & {
      /** Only those about what was there: conflicts, preconditions, leases, evaluated operations. */
      conflicts?: boolean;
    },
  ): Promise<Refusal[]> {
    check.options(options, ...LOOK, "conflicts");
    const conflicts = check.flag("conflicts", options?.conflicts);
    const request = create(pb.ListRefusalsRequestSchema, { ...this.#look(options), conflicts });
    const limit = check.limit(options?.limit);
    if (limit === 0) return [];
    const { refusals } = await this.caller
      .for(options)
      .call("listRefusals", request, check.signal(options?.signal));
    return refusals.map((one) => ({
      namespace: one.namespace,
      agentId: one.agentId,
      key: one.key,
      lease: one.lease,
      principal: one.principal,
      method: one.method,
      code: codeName(one.code),
      limit: one.limit,
      count: one.count,
      firstTime: date(one.firstTime),
      lastTime: date(one.lastTime),
    }));
  }

  /** Lists who watches and replays what, since when and how far behind: the first thousand. */
  async listStreams(options?: LookOptions): Promise<OpenStream[]> {
    check.options(options, ...LOOK);
    const request = create(pb.ListStreamsRequestSchema, this.#look(options));
    if (check.limit(options?.limit) === 0) return [];
    const { streams } = await this.caller
      .for(options)
      .call("listStreams", request, check.signal(options?.signal));
    return streams.map((one) => ({
      kind: KINDS.get(one.kind) ?? "unknown",
      namespace: one.namespace,
      agentId: one.agentId,
      keyPrefix: one.keyPrefix,
      lease: one.lease,
      due: one.due,
      principal: one.principal,
      peer: one.peer,
      beginTime: date(one.beginTime),
      cursor: one.cursor,
      lag: one.lag,
    }));
  }

  #look(options: LookOptions | undefined) {
    const all = check.flag("allNamespaces", options?.allNamespaces);
    const limit = check.limit(options?.limit);
    return {
      namespace: all ? "" : this.caller.namespace(options?.namespace),
      all,
      limit: limit > MOST ? 0 : limit, // which is all
    };
  }
}

const ROLES: { readonly [role in pb.ClusterRole]?: ClusterStatus["role"] } = {
  [pb.ClusterRole.FOLLOWER]: "follower",
  [pb.ClusterRole.CANDIDATE]: "candidate",
  [pb.ClusterRole.LEADER]: "leader",
  [pb.ClusterRole.LEARNER]: "learner",
};

function clusterOf({ role, id, leaderAddress, term, members }: pb.ClusterStatus): ClusterStatus {
  return { role: ROLES[role] ?? "unknown", id, leaderAddress, term, members: members.length };
}

/** What fits into the request. */
const MOST = 2 ** 32 - 1;
