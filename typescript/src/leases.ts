/**
 * Leases that this process holds: acquiring, renewing, releasing.
 *
 * What a worker must never do is go on as the holder of a lease that has lapsed. So a lease counts as held
 * only for its time to live from the moment at which the last request that the daemon answered was *sent*,
 * by this machine's monotonic clock: the daemon counts from later, so it holds it longer. No renewal
 * answered by then, and the lease counts as lost, whatever is true of it: the fencing token in guarded
 * commits is what guarantees, this is only how soon a worker is told.
 */

import { debuglog } from "node:util";
import { create } from "@bufbuild/protobuf";
import type { Caller, CallOptions } from "./calls.js";
import * as check from "./check.js";
import * as errors from "./errors.js";
import { asked, LEASE, type LeaseOptions, obtained, waited } from "./obtaining.js";
import { op, type Precondition, when } from "./operations.js";
import * as pb from "./proto/statehouse/v1/statehouse_pb.js";
import type { Renewals } from "./renewals.js";
import { date } from "./times.js";
import type { LeaseInfo } from "./types.js";
import { commitOf, type Held } from "./writes.js";

const log = debuglog("statehouse");

/** Milliseconds that releasing at the end of a block may take: the lease lapses anyway. */
const FAREWELL = 5000;

/** A lease that this process holds, and renews in the background until it is released. */
export class Lease implements Held {
  readonly agentId: string;
  readonly name: string;
  readonly namespace: string;
  /**
   * Rises with every acquisition, for good: whoever takes orders from several workers can refuse those
   * with a lower one.
   */
  readonly token: bigint;
  readonly holder: string;
  readonly ttlMs: number;
  readonly #caller: Caller;
  readonly #renewals: Renewals;
  readonly #lost = new AbortController();
  #deadline: Date;
  #released = false;
  /** When the last request that the daemon answered was sent. @internal */
  sent: number;

  /** Made by `client.lease`. @internal */
  constructor(caller: Caller, renewals: Renewals, info: LeaseInfo, sent: number) {
    this.#caller = caller;
    this.#renewals = renewals;
    this.agentId = info.agentId;
    this.name = info.name;
    this.namespace = info.namespace;
    this.token = info.token;
    this.holder = info.holder;
    this.ttlMs = info.ttlMs;
    this.#deadline = info.deadline;
    this.sent = sent;
    renewals.add(this);
  }

  /** Aborted, with the {@link errors.LeaseLost}, once the lease is lost: give it to the work. */
  get signal(): AbortSignal {
    return this.#lost.signal;
  }

  /** When it lapses unless it is renewed again, by the daemon's clock. */
  get deadline(): Date {
    return this.#deadline;
  }

  /** Whether it is held, as far as is known here. */
  get held(): boolean {
    return !this.#released && !this.#lost.signal.aborted && this.left() > 0;
  }

  /**
   * Throws {@link errors.LeaseLost} when the lease is lost, or was released. It asks nobody: a commit that
   * requires the lease (`leases: [lease]`) is what makes sure.
   */
  check(): void {
    if (this.#released) {
      throw new errors.UsageError(`${this.#named()} was released: acquire it again`);
    }
    this.lapse();
    const why: unknown = this.#lost.signal.reason;
    if (this.#lost.signal.aborted && why instanceof errors.LeaseLost) {
      throw new errors.LeaseLost(why.reason, { details: why.details, answered: why.answered });
    }
  }

  condition(): Precondition & { type: "lease" } {
    const { agentId, name, token, namespace } = this;
    return when.lease(agentId, name, token, { namespace }) as Precondition & { type: "lease" };
  }

  /** Releases it. One that is lost is {@link errors.LeaseLost}. */
  async release(options?: CallOptions): Promise<void> {
    this.check();
    await this.#release(this.#caller, options);
  }

  /**
   * Releases it at the end of an `await using` block, if the daemon can be reached; else it lapses. One
   * that was lost meanwhile is {@link errors.LeaseLost}.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#released) return;
    this.check();
    try {
      await this.#release(this.#caller.within(FAREWELL), {});
    } catch (failed) {
      if (!(failed instanceof errors.ConnectionError || failed instanceof errors.OutcomeUnknown)) {
        throw failed;
      }
      log("%s is not released, and will lapse: %s", this.#named(), failed.reason);
    }
  }

  async #release(caller: Caller, options: CallOptions | undefined): Promise<void> {
    const { agentId, name, token, namespace } = this;
    this.#renewals.discard(this);
    try {
      await commitOf(caller, [op.releaseLease(agentId, name, token, { namespace })], options);
      this.#released = true;
    } catch (failed) {
      if (failed instanceof errors.LeaseLost) this.lose(failed);
      else this.#renewals.add(this); // it may be held yet
      throw failed;
    }
  }

  #named(): string {
    return `lease ${JSON.stringify(this.name)} of agent ${JSON.stringify(this.agentId)}`;
  }

  /** Milliseconds that it counts as held. @internal */
  left(): number {
    return this.sent + this.ttlMs - performance.now();
  }

  /** Counts it as released, by whatever it was. @internal */
  protected ended(): void {
    this.#renewals.discard(this);
    this.#released = true;
  }

  /** @internal */
  renewed(sent: number, deadline: Date): void {
    this.sent = sent;
    this.#deadline = deadline;
  }

  /** Counts it as lost when no renewal was answered in time. @internal */
  lapse(): void {
    if (this.left() > 0) return;
    this.lose(
      new errors.LeaseLost(
        `${this.#named()} counts as lost, for no renewal was answered within its ${this.ttlMs} ms`,
        { details: { lease: this.name, token: String(this.token) } },
      ),
    );
  }

  /** Keeps why it is lost, and tells. The first reason stays. @internal */
  lose(why?: errors.LeaseLost): void {
    if (this.#released) return;
    this.#renewals.discard(this);
    this.#lost.abort(
      why ??
        new errors.LeaseLost(`${this.#named()} is not held under token ${this.token} any more`, {
          details: { lease: this.name, token: String(this.token) },
          answered: true,
        }),
    );
  }
}

/** Acquires a lease. */
export async function acquire(
  caller: Caller,
  renewals: Renewals,
  agentId: string,
  name: string,
  options: LeaseOptions = {},
): Promise<Lease> {
  check.options(options, ...LEASE);
  const how = asked(caller, options);
  const { ttlMs, holder, namespace } = how;
  const watched = { agentId: check.text("agentId", agentId), lease: check.text("name", name) };
  const operation = op.acquireLease(agentId, name, { ttlMs, holder, namespace });
  let held: errors.LeaseHeld | undefined;
  const found = await waited(
    caller,
    how,
    watched,
    (event) => event.deleted, // it was released, or has lapsed
    () =>
      obtained(caller, operation, how).catch((refused) => {
        if (!(refused instanceof errors.LeaseHeld)) throw refused;
        held = refused;
        return undefined;
      }),
  );
  if (!found) throw held;
  if (!found.result.lease) throw errors.broken("an acquisition without its lease");
  return new Lease(caller, renewals, found.result.lease, found.sent);
}

/** Renews leases in one request, which is tried as long as all of them may be held. */
export async function renew(caller: Caller, leases: readonly Lease[]): Promise<void> {
  const sent = performance.now();
  const request = create(pb.RenewLeasesRequestSchema, {
    leases: leases.map(({ namespace, agentId, name, token }) => ({
      namespace,
      agentId,
      lease: name,
      token,
    })),
  });
  const left = Math.max(1, Math.min(...leases.map((lease) => lease.left())));
  const patient = caller.within(left).with({
    attemptTimeoutMs: Math.min(left / 3, caller.options.attemptTimeoutMs),
  });
  const answer = await patient.call("renewLeases", request);
  if (answer.leases.length !== leases.length) {
    throw errors.broken(`${answer.leases.length} renewals of ${leases.length} leases`);
  }
  for (const [at, renewed] of answer.leases.entries()) {
    const lease = leases[at] as Lease;
    if (renewed.lost || !renewed.deadline) lease.lose();
    else lease.renewed(sent, date(renewed.deadline));
  }
}
