/** Which leases of a client are to be renewed, and when. */

import { debuglog } from "node:util";
import type { Caller } from "./calls.js";
import { type Lease, renew } from "./leases.js";

const log = debuglog("statehouse");

/** Parts of its time to live after which a lease is renewed, and by which it may be earlier to go along with another. */
const RENEWED = 1 / 3;
const EARLIER = 1 / 4;
/** How many leases a request renews. */
const TOGETHER = 1000;

/** The leases of one client. It keeps no program alive. */
export class Renewals {
  readonly #caller: Caller;
  /** When each is to be renewed. */
  readonly #leases = new Map<Lease, number>();
  #timer: NodeJS.Timeout | undefined;
  /** Those of requests that are under way: no lease waits for the answer to another's. */
  readonly #asked = new Set<Lease>();

  constructor(caller: Caller) {
    this.#caller = caller;
  }

  add(lease: Lease): void {
    this.#leases.set(lease, lease.sent + lease.ttlMs * RENEWED);
    this.#plan();
  }

  discard(lease: Lease): void {
    this.#leases.delete(lease);
    this.#plan();
  }

  /** Forgets all of them, which count as lost: nobody renews them any more. */
  close(): void {
    for (const lease of [...this.#leases.keys()]) lease.lose();
    clearTimeout(this.#timer);
  }

  #plan(): void {
    clearTimeout(this.#timer);
    const idle = this.#idle();
    if (idle.length === 0) return;
    const wait = Math.max(0, Math.min(...idle.map(([, at]) => at)) - performance.now());
    this.#timer = setTimeout(() => this.#renew(), Math.min(wait, 2 ** 31 - 1));
    this.#timer.unref();
  }

  #idle(): [Lease, number][] {
    return [...this.#leases].filter(([lease]) => !this.#asked.has(lease));
  }

  /** Renews those that are due, and those that soon will be. */
  async #renew(): Promise<void> {
    const now = performance.now();
    const due = this.#idle()
      .filter(([lease, at]) => at - lease.ttlMs * EARLIER <= now)
      .sort(([, a], [, b]) => a - b)
      .slice(0, TOGETHER)
      .map(([lease]) => lease);
    for (const lease of due) this.#asked.add(lease);
    this.#plan();
    try {
      // Those whose time is over have nothing to be asked for.
      for (const lease of due) lease.lapse();
      const held = due.filter((lease) => this.#leases.has(lease));
      if (held.length > 0) await renew(this.#caller, held);
    } catch (failed) {
      log("leases are not renewed: %s", failed);
    } finally {
      for (const lease of due) this.#asked.delete(lease);
      this.#settle(due);
      this.#plan();
    }
  }

  /**
   * Plans the next renewal of leases of which one was tried: of those that were not renewed soon, as long
   * as they count as held.
   */
  #settle(leases: readonly Lease[]): void {
    const now = performance.now();
    for (const lease of leases) {
      lease.lapse();
      if (!this.#leases.has(lease)) continue; // lost, or released meanwhile
      const soon = now + Math.min(Math.max(lease.ttlMs / 20, 10), lease.left());
      this.#leases.set(lease, Math.max(lease.sent + lease.ttlMs * RENEWED, soon));
    }
  }
}
