/**
 * A connection to daemons that keep one store between them. Calls go to the one that leads, which answers
 * everything itself: others would hand on to it what only it can answer. A call is sent once. One that fails says
 * where the next is to go, so who repeats it finds a member that answers.
 *
 * Reads that may be of a state that is not the newest go to all members in turn. The rules are those of the Go
 * client, `client/members`.
 */

import { create } from "@bufbuild/protobuf";
import { Deadline } from "./deadline.js";
import * as errors from "./errors.js";
import * as pb from "./proto/statehouse/v1/statehouse_pb.js";
import type { Answer, Connection, Request, StreamName, Transport, UnaryName } from "./transport.js";

/**
 * Milliseconds for which it is taken for known who leads, unless a call fails: one that no longer leads hands
 * requests on and need not say so. And those after which a member that failed is asked again.
 */
const ASK_AGAIN = 2000;
/** Milliseconds that a member may take to say who leads. */
const ASK_FOR = 1000;

export class Members implements Connection {
  readonly #members: readonly Transport[];
  /** When each failed last. */
  readonly #failed: number[];
  /** The member that calls go to. */
  #at = 0;
  /** Of reads that may go to any. */
  #turn = 0;
  #asked = Number.NEGATIVE_INFINITY;
  #asking = false;
  /** The daemon is no cluster: nothing is to be asked. */
  #alone = false;

  constructor(members: readonly Transport[]) {
    this.#members = members;
    this.#failed = members.map(() => Number.NEGATIVE_INFINITY);
  }

  /** What is known of the store is kept with the first of them. */
  get endpoint() {
    return this.#member(0).endpoint;
  }

  async reach(deadline: Deadline, signal: AbortSignal | undefined): Promise<void> {
    await this.#find(deadline, signal);
    const at = this.#at;
    await this.#learning(at, this.#member(at).reach(deadline, signal));
  }

  async ask<M extends UnaryName>(
    name: M,
    request: Request<M>,
    deadline: Deadline,
    signal: AbortSignal | undefined,
  ): Promise<Answer<M>> {
    let at: number;
    if ("maxStalenessMs" in request && request.maxStalenessMs > 0n) {
      at = this.#next();
    } else {
      await this.#find(deadline, signal);
      at = this.#at;
    }
    return this.#learning(at, this.#member(at).ask(name, request, deadline, signal));
  }

  async *open<M extends StreamName>(
    name: M,
    request: Request<M>,
    deadline: Deadline,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Answer<M>, void, undefined> {
    await this.#find(deadline, signal);
    const at = this.#at;
    try {
      yield* this.#member(at).open(name, request, deadline, signal);
    } catch (failed) {
      throw this.#learn(at, failed);
    }
  }

  close(): void {
    for (const member of this.#members) member.close();
  }

  #member(at: number): Transport {
    return this.#members[at] as Transport;
  }

  #failedJustNow(at: number): boolean {
    return performance.now() - (this.#failed[at] as number) < ASK_AGAIN;
  }

  /** The member whose turn it is, but for those that failed a moment ago if others did not. */
  #next(): number {
    for (let tries = 0; tries < this.#members.length; tries++) {
      this.#turn = (this.#turn + 1) % this.#members.length;
      if (!this.#failedJustNow(this.#turn)) return this.#turn;
    }
    return this.#turn;
  }

  /** Asks who leads, if that is not known: the member that calls go to, and if it does not answer the others. */
  async #find(deadline: Deadline, signal: AbortSignal | undefined): Promise<void> {
    // While another call asks, this one goes where all go.
    if (this.#alone || this.#asking || performance.now() - this.#asked < ASK_AGAIN) return;
    this.#asking = true;
    this.#asked = performance.now();
    try {
      const first = this.#at;
      for (let n = 0; n < this.#members.length; n++) {
        const at = (first + n) % this.#members.length;
        if (n > 0 && this.#failedJustNow(at)) continue;
        if (deadline.over() || signal?.aborted) return;
        const cluster = await this.#told(at, deadline, signal);
        if (cluster === undefined) continue;
        if (cluster === null) this.#alone = true;
        else if (cluster.leaderAddress === "") continue; // another may know
        const leads = cluster ? this.#of(cluster.leaderAddress) : -1;
        this.#at = leads < 0 ? at : leads;
        return;
      }
    } finally {
      this.#asking = false;
    }
  }

  /** What a member says of the cluster; null: it is in none; undefined: it did not answer. */
  async #told(
    at: number,
    deadline: Deadline,
    signal: AbortSignal | undefined,
  ): Promise<pb.ClusterStatus | null | undefined> {
    const within = new Deadline(Math.min(ASK_FOR, deadline.left()));
    try {
      const request = create(pb.GetStatusRequestSchema);
      return (await this.#member(at).ask("getStatus", request, within, signal)).cluster ?? null;
    } catch {
      this.#failed[at] = performance.now();
      return undefined; // the call itself will tell what is wrong
    }
  }

  /** The member with an address, as daemons say it; -1: there is none. */
  #of(address: string): number {
    return this.#members.findIndex(({ endpoint }) => endpoint.target === address);
  }

  async #learning<T>(at: number, call: Promise<T>): Promise<T> {
    try {
      return await call;
    } catch (failed) {
      throw this.#learn(at, failed);
    }
  }

  /** Takes down what a failure says of the member that calls go to, and answers the failure. */
  #learn(at: number, failed: unknown): unknown {
    if (!(failed instanceof errors.ConnectionError || failed instanceof errors.OutcomeUnknown)) {
      return failed;
    }
    const leads = this.#of(failed.details.leader ?? "");
    if (leads >= 0) {
      if (this.#at === at) this.#at = leads;
      return failed;
    }
    this.#asked = Number.NEGATIVE_INFINITY;
    if (failed.code === "NOT_LEADER") return failed; // it cannot know; another may
    this.#failed[at] = performance.now();
    if (this.#at === at) this.#at = (at + 1) % this.#members.length;
    // What does not help at this one may at another.
    const others = this.#members.some((_, other) => !this.#failedJustNow(other));
    if (!failed.lasting || !others) return failed;
    return new errors.ConnectionError(failed.reason, { sent: failed.sent, cause: failed });
  }
}
