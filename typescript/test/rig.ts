/** What the tests have in common: one daemon in memory, and a namespace of its own for each test. */

import { after, before } from "node:test";
import { type ClientOptions, DeadlineExceeded, newTxnId, type Statehouse } from "../src/index.js";
import { Daemon, type DaemonOptions } from "../src/testing.js";
import { Gateway } from "./gateway.js";

/** Starts a daemon before the tests of a file, and stops it after them. */
export function rig(options?: DaemonOptions) {
  let daemon: Daemon;
  const gateways: Gateway[] = [];
  const clients: Statehouse[] = [];
  before(async () => {
    daemon = await Daemon.start(options);
  });
  after(async () => {
    for (const gateway of gateways) gateway.stop();
    await daemon.stop();
  });
  const fresh = () => `test-${newTxnId()}`;
  return {
    get daemon() {
      return daemon;
    },
    fresh,
    /** Makes a client in a namespace of its own. */
    client(given: ClientOptions = {}): Statehouse {
      const client = daemon.client({ namespace: fresh(), timeoutMs: 10_000, ...given });
      clients.push(client);
      return client;
    },
    /** Makes a client that talks through a gateway, and the gateway. */
    async through(given: ClientOptions = {}): Promise<{ gateway: Gateway; client: Statehouse }> {
      const gateway = await Gateway.start(daemon.address);
      gateways.push(gateway);
      return { gateway, client: this.client({ address: gateway.address, ...given }) };
    },
  };
}

/** Takes the first items of an iterator. */
export async function take<T>(feed: AsyncIterable<T>, count: number): Promise<T[]> {
  const out: T[] = [];
  for await (const item of feed) {
    out.push(item);
    if (out.length === count) break;
  }
  return out;
}

/** Lists all items of an iterator. */
export async function all<T>(feed: AsyncIterable<T>): Promise<T[]> {
  return take(feed, Number.POSITIVE_INFINITY);
}

/** Has something waited for longer and longer, until there was time to ask for it at all. */
export async function patiently<T>(wait: (waitMs: number) => Promise<T>): Promise<T> {
  for (let waitMs = 50; ; waitMs *= 2) {
    try {
      return await wait(waitMs);
    } catch (failed) {
      if (!(failed instanceof DeadlineExceeded)) throw failed;
    }
  }
}
