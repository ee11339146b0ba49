/**
 * Deadlines, retries, and what may have happened when a call failed.
 *
 * The rules are those of the Go client, `client/call.go`, and of the Python SDK.
 */

import { debuglog } from "node:util";
import * as check from "./check.js";
import { Deadline, sleep } from "./deadline.js";
import * as errors from "./errors.js";
import { concluded, isPassing, mayBeApplied } from "./outcomes.js";
import {
  Aborted,
  type Answer,
  type Connection,
  type Request,
  type UnaryName,
} from "./transport.js";

/** What is repeated and given up is said with `NODE_DEBUG=statehouse`. */
const log = debuglog("statehouse");

/**
 * Pauses between tries in milliseconds: the first, and the longest, each cut by up to a half at random
 * so that clients which failed together do not return together.
 */
const FIRST_PAUSE = 20;
const MAX_PAUSE = 1000;

/** How a client behaves. */
export interface Options {
  readonly namespace: string;
  readonly timeoutMs: number;
  readonly attemptTimeoutMs: number;
  readonly failFast: boolean;
  readonly pageSize: number;
}

/** Options that every call has. */
export interface CallOptions {
  /** Gives the call up. A commit that was sent by then may be applied: {@link errors.OutcomeUnknown}. */
  signal?: AbortSignal;
  /** In place of the client's: for the call with all its tries. */
  timeoutMs?: number;
}

/** Makes calls to a daemon under a client's options. */
export class Caller {
  readonly options: Options;
  readonly transport: Connection;

  constructor(options: Options, transport: Connection) {
    this.options = options;
    this.transport = transport;
  }

  get endpoint() {
    return this.transport.endpoint;
  }

  /** Makes a caller with other options. */
  with(changed: Partial<Options>): Caller {
    return new Caller({ ...this.options, ...changed }, this.transport);
  }

  /** Makes a caller that gives up earlier. */
  within(ms: number): Caller {
    return this.with({ timeoutMs: Math.min(ms, this.options.timeoutMs) });
  }

  /** Makes the caller of a call with options of its own. */
  for(given: CallOptions | undefined): Caller {
    if (given?.timeoutMs === undefined) return this;
    return this.with({ timeoutMs: check.milliseconds("timeoutMs", given.timeoutMs) });
  }

  /** Returns the namespace that is meant: the one given, or the client's. */
  namespace(given: string | undefined): string {
    return given === undefined ? this.options.namespace : check.namespace(given);
  }

  /** Makes a call that may safely be repeated. */
  call<M extends UnaryName>(
    name: M,
    request: Request<M>,
    signal?: AbortSignal,
  ): Promise<Answer<M>> {
    return this.#repeat(name, signal, (deadline) => this.#attempt(name, request, deadline, signal));
  }

  /** Makes a call that must not be repeated once it was sent. */
  callOnce<M extends UnaryName>(
    name: M,
    request: Request<M>,
    signal?: AbortSignal,
  ): Promise<Answer<M>> {
    const once = (deadline: Deadline) => this.#attempt(name, request, deadline, signal);
    return this.#repeat(name, signal, once, true);
  }

  /** Waits for a connection, as a call does that is about to be sent. */
  connect(what: string, signal?: AbortSignal): Promise<void> {
    return this.#repeat(what, signal, (deadline) =>
      this.transport.reach(this.#ofOneTry(deadline), signal),
    );
  }

  async #repeat<T>(
    what: string,
    signal: AbortSignal | undefined,
    once: (deadline: Deadline) => Promise<T>,
    unsent = false,
  ): Promise<T> {
    const deadline = new Deadline(this.options.timeoutMs);
    for (let tries = 0; ; tries++) {
      try {
        return await once(deadline);
      } catch (failed) {
        if (failed instanceof Aborted) throw failed.reason;
        if (!(failed instanceof errors.StatehouseError)) throw failed;
        if (!this.#again(failed, deadline, unsent)) throw failed;
        await this.pause(what, tries, deadline, failed, signal);
      }
    }
  }

  /** Reports whether a call is repeated; `unsent`: only if it was not sent, or has done nothing. */
  #again(failed: errors.StatehouseError, deadline: Deadline, unsent: boolean): boolean {
    if (failed instanceof errors.ConnectionError) {
      if (failed.lasting) return false;
      // One that does not lead says when to come back, and has done nothing.
      if (failed.retryAfterMs !== undefined) return true;
      return failed.sent ? !unsent : !this.options.failFast;
    }
    // Refused for load, before it had any effect.
    const load = failed instanceof errors.ResourceExhausted && failed.retryAfterMs !== undefined;
    return load && hasRoom(deadline, failed);
  }

  /**
   * Sends a commit, and repeats it under its id until its outcome is known or the time is over.
   *
   * `until`: the transaction's own timeout, of which each try says what is left. `doubt`: an earlier
   * try may have been applied, or may yet be.
   */
  commit(
    request: Request<"transact">,
    signal: AbortSignal | undefined,
    { until, doubt = false }: { until?: Deadline; doubt?: boolean } = {},
  ): Promise<Answer<"transact">> {
    return this.#commit("transact", request, signal, doubt, (inDoubt) => {
      if (until) request.timeoutMs = inTime(request.txnId, until, inDoubt);
    });
  }

  /**
   * Commits a transaction that lives in the daemon, as {@link commit} does. The daemon ends it with the first
   * refusal, so a late duplicate cannot be applied after one.
   */
  async commitHeld(
    request: Request<"commit">,
    signal: AbortSignal | undefined,
  ): Promise<Answer<"commit">> {
    try {
      return await this.#commit("commit", request, signal, false);
    } catch (failed) {
      if (failed instanceof errors.StatehouseError) failed.maybeApplied = false;
      throw failed;
    }
  }

  async #commit<M extends "transact" | "commit">(
    name: M,
    request: Request<M>,
    signal: AbortSignal | undefined,
    earlier: boolean,
    before?: (doubt: boolean) => void,
  ): Promise<Answer<M>> {
    const deadline = new Deadline(this.options.timeoutMs);
    let doubt = earlier;
    for (let tries = 0; ; tries++) {
      let failed: unknown;
      try {
        before?.(doubt);
        return await this.#attempt(name, request, deadline, signal);
      } catch (error) {
        failed = error;
      }
      doubt ||= mayBeApplied(failed);
      if (
        isPassing(failed, doubt) &&
        (failed.sent || doubt || !this.options.failFast) &&
        hasRoom(deadline, failed)
      ) {
        try {
          await this.pause(name, tries, deadline, failed, signal);
          continue;
        } catch (over) {
          failed = over;
        }
      }
      const conclusion = concluded(request.txnId, failed, doubt);
      if (conclusion instanceof errors.OutcomeUnknown) log("%s", conclusion.reason);
      throw conclusion;
    }
  }

  /** Tries once: gets a connection, and makes the call on it. */
  async #attempt<M extends UnaryName>(
    name: M,
    request: Request<M>,
    deadline: Deadline,
    signal: AbortSignal | undefined,
  ): Promise<Answer<M>> {
    return await this.transport.ask(name, request, this.#ofOneTry(deadline), signal);
  }

  #ofOneTry(deadline: Deadline): Deadline {
    return new Deadline(Math.min(this.options.attemptTimeoutMs, deadline.left()));
  }

  /**
   * Waits before try n+1, counted from 0; throws when there is no time for it. A daemon that refused
   * for load says how long; up to half as long again keeps those who were refused together from
   * returning together.
   */
  async pause(
    what: string,
    tries: number,
    deadline: Deadline,
    failed: errors.StatehouseError,
    signal?: AbortSignal,
  ): Promise<void> {
    const jitter = Math.random();
    let ms = Math.min(FIRST_PAUSE * 2 ** Math.min(tries, 10), MAX_PAUSE);
    ms -= (ms / 2) * jitter;
    const left = deadline.left();
    if (left < FIRST_PAUSE) throw gaveUp(what, tries + 1, deadline, failed);
    ms = Math.min(ms, left / 2); // so that there is time for another try
    if (failed.retryAfterMs !== undefined) {
      ms = Math.max(ms, failed.retryAfterMs * (1 + jitter / 2));
      // There is room: see hasRoom.
      ms = Math.min(ms, Math.max(failed.retryAfterMs, left - FIRST_PAUSE));
    }
    log("%s: try %d failed, again in %d ms: %s", what, tries + 1, Math.round(ms), failed.reason);
    await sleep(ms, signal);
  }
}

/** Reports whether there is time to come back when the daemon wants to be asked again. */
function hasRoom(deadline: Deadline, failed: errors.StatehouseError): boolean {
  return failed.retryAfterMs === undefined || failed.retryAfterMs < deadline.left();
}

/**
 * Returns how many milliseconds a transaction has left. One that may have been sent is asked about in
 * any case: with none left it is not applied any more.
 */
function inTime(txnId: string, until: Deadline, doubt: boolean): bigint {
  const left = until.left();
  if (left <= 0 && !doubt) throw expired(txnId);
  return BigInt(Math.max(0, Math.ceil(left)));
}

/** Makes the error for a transaction whose time is over. */
export function expired(txnId: string): errors.TransactionExpired {
  return new errors.TransactionExpired(
    `transaction ${txnId} reached its timeout and was aborted: begin a new one`,
  );
}

function gaveUp(
  what: string,
  tries: number,
  deadline: Deadline,
  failed: errors.StatehouseError,
): errors.DeadlineExceeded {
  const counted = tries === 1 ? "1 try" : `${tries} tries`;
  const error = new errors.DeadlineExceeded(
    `gave up after ${counted} in ${deadline.ms} ms: ${failed.reason}`,
    {
      sent: failed.sent,
      cause: failed,
      // If nothing was sent, more time is not what is missing.
      ...(failed.sent ? {} : { advice: errors.ConnectionError.advice }),
    },
  );
  log("%s: %s", what, error.reason);
  return error;
}
