/** Daemons that keep one store between them: who leads is found, and found again. */

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import * as sh from "../src/index.js";
import { all, take } from "./rig.js";

/** Three members on loopback. */
class Cluster {
  readonly #folder = mkdtempSync(join(tmpdir(), "statehouse-cluster-"));
  readonly #running = new Map<string, ChildProcess>();
  readonly #flags = new Map<string, string[]>();
  readonly clients: sh.Statehouse[] = [];

  get addresses(): string[] {
    return [...this.#flags.keys()];
  }

  async start(): Promise<void> {
    const ports = await freePorts(6);
    const at = ports.map((port) => `127.0.0.1:${port}`);
    const peers = at.slice(3);
    for (const [n, address] of at.slice(0, 3).entries()) {
      const how = n === 0 ? ["--cluster-init", peers.join(",")] : ["--join", peers[0] as string];
      const data = ["--data-dir", join(this.#folder, `${n}`), "--metrics-listen-addr", "off"];
      const listen = ["--listen-addr", address, "--peer-listen-addr", peers[n] as string];
      this.#flags.set(address, [...data, ...listen, ...how]);
      this.restart(address);
    }
    await this.leader();
  }

  restart(address: string): void {
    const log = openSync(join(this.#folder, "log"), "a");
    const kept = Object.entries(process.env).filter(([name]) => !name.startsWith("STATEHOUSE_"));
    const env = Object.fromEntries(kept);
    const program = process.env.STATEHOUSED ?? "statehoused";
    const flags = this.#flags.get(address) ?? [];
    this.#running.set(address, spawn(program, flags, { env, stdio: ["ignore", log, log] }));
    closeSync(log);
  }

  async kill(address: string): Promise<void> {
    const running = this.#running.get(address);
    this.#running.delete(address);
    if (running?.exitCode !== null) return;
    const ended = once(running, "exit");
    running.kill("SIGKILL");
    await ended;
  }

  /** Waits until one leads, and answers its address. */
  async leader(): Promise<string> {
    for (;;) {
      for (const address of this.#running.keys()) {
        const probe = new sh.Statehouse({ address, timeoutMs: 500, failFast: true });
        try {
          const cluster = (await probe.status()).cluster;
          if (cluster?.leaderAddress && this.#running.has(cluster.leaderAddress)) {
            // It answers what only a leader can.
            await probe.write("probe", "k", {});
            return cluster.leaderAddress;
          }
        } catch (failed) {
          if (!(failed instanceof sh.StatehouseError)) throw failed;
        } finally {
          probe.close();
        }
      }
      const ended = [...this.#running.values()].find(({ exitCode }) => exitCode !== null);
      if (ended) throw new Error(readFileSync(join(this.#folder, "log"), "utf8"));
      await sleep(50);
    }
  }

  client(options: sh.ClientOptions = {}): sh.Statehouse {
    const namespace = `test-${sh.newTxnId()}`;
    const given = { addresses: this.addresses, namespace, timeoutMs: 60_000, ...options };
    const client = new sh.Statehouse(given);
    this.clients.push(client);
    return client;
  }

  async stop(): Promise<void> {
    for (const client of this.clients) client.close();
    for (const address of [...this.#running.keys()]) await this.kill(address);
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

async function freePorts(count: number): Promise<number[]> {
  const probes: Server[] = [];
  for (let n = 0; n < count; n++) {
    const probe = createServer().listen(0, "127.0.0.1");
    await once(probe, "listening");
    probes.push(probe);
  }
  const ports = probes.map((probe) => (probe.address() as { port: number }).port);
  for (const probe of probes) await new Promise((closed) => probe.close(closed));
  return ports;
}

const cluster = new Cluster();
before(() => cluster.start());
after(() => cluster.stop());

test("calls go to the one that leads, whichever address stands first", async () => {
  const leads = await cluster.leader();
  for (const first of cluster.addresses) {
    const others = cluster.addresses.filter((address) => address !== first);
    const client = cluster.client({ addresses: [first, ...others] });
    await client.write("a", "k", { first });
    const { cluster: said } = await client.status();
    assert.deepEqual([said?.role, said?.leaderAddress, said?.members], ["leader", leads, 3]);
    const record = await client.getState<{ first: string }>("a", "k");
    assert.equal(record?.value.first, first);
  }
});

test("reads that may be stale are answered by all, and see what the program wrote", async () => {
  const client = cluster.client();
  for (let n = 0; n < 9; n++) {
    const { commitTs } = await client.write("a", "k", { n });
    const seen = { maxStalenessMs: 60_000, minReadTs: commitTs };
    assert.deepEqual((await client.getState("a", "k", seen))?.value, { n });
    assert.deepEqual(await client.listKeys("a", seen), ["k"]);
    assert.deepEqual((await client.getMany("a", ["k"], seen))[0]?.value, { n });
    assert.equal((await all(client.scanPrefix("a", "", seen))).length, 1);
    assert.equal((await all(client.find("a", seen))).length, 1);
  }
  const tx = await client.beginTransaction();
  await assert.rejects(tx.getState("a", "k", { maxStalenessMs: 5 }), /leave maxStalenessMs out/);
  assert.throws(() => client.history("a", "k", { maxStalenessMs: 5 } as never), /no option max/);
});

test("when the one that leads is lost another is found: each commit is made once, a watch has no gap", async () => {
  const client = cluster.client();
  const watched = take(client.watch("a", { after: 0 }), 60);
  const lost = await cluster.leader();
  for (let n = 0; n < 60; n++) {
    if (n === 20) await cluster.kill(lost);
    if (n === 40) cluster.restart(lost);
    await client.append("a", "step/", { n });
  }
  const events = await watched;
  assert.deepEqual(
    events.map((event) => event.operations[0]?.value.n),
    Array.from({ length: 60 }, (_, n) => n),
  );
  assert.notEqual(await cluster.leader(), undefined);
  const { cluster: said } = await client.status();
  assert.equal(said?.role, "leader");
});

test("a member that is not there, or is no daemon of ours, is passed over", async () => {
  const [gone] = await freePorts(1);
  const client = cluster.client({ addresses: [`127.0.0.1:${gone}`, ...cluster.addresses] });
  await client.write("a", "k", {});
  assert.equal((await client.status()).cluster?.role, "leader");
  // Nor is a name that nobody knows the end of the calls that went there while one asked who leads.
  const unknown = cluster.client({ addresses: ["no-such-host.invalid", ...cluster.addresses] });
  const calls = [1, 2, 3, 4].map((n) => unknown.write("a", `k/${n}`, {}));
  assert.equal((await Promise.all(calls)).length, 4);
});

test("its misuse is told", () => {
  const { addresses } = cluster;
  assert.throws(() => new sh.Statehouse({ addresses: [] }), sh.InvalidArgument);
  assert.throws(() => new sh.Statehouse({ addresses: "a:1" as never }), /in an array/);
  const both = { addresses, address: addresses[0] as string };
  assert.throws(() => new sh.Statehouse(both), /leave out one/);
});
