/** When calls give up, and how they wait. */

/** When a call gives up, by the monotonic clock. */
export class Deadline {
  readonly ms: number;
  readonly #end: number;

  /** Infinity: never. */
  constructor(ms: number) {
    this.ms = ms;
    this.#end = performance.now() + ms;
  }

  /** Milliseconds that are left; below 0 when it has passed. */
  left(): number {
    return this.#end - performance.now();
  }

  over(): boolean {
    return this.left() <= 0;
  }

  /** As gRPC takes it. */
  date(): Date | number {
    const left = this.left();
    return left === Number.POSITIVE_INFINITY ? left : new Date(Date.now() + left);
  }
}

/** The longest that a timer can wait. */
const LONGEST = 2 ** 31 - 1;

/** Waits. Rejects with the signal's reason as soon as it is aborted. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const end = () => {
      signal?.removeEventListener("abort", stop);
      resolve();
    };
    const timer = setTimeout(end, Math.min(Math.max(0, ms), LONGEST));
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    signal?.addEventListener("abort", stop, { once: true });
  });
}
