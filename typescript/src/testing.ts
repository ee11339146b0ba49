/** A private daemon for tests: `await using daemon = await Daemon.start()`. */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import {
  accessSync,
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type ClientOptions, Statehouse } from "./client.js";
import { StatehouseError, Unauthenticated } from "./errors.js";

/** How a daemon is started. */
export interface DaemonOptions {
  /** Keep a store on disk, for `crash()` and `restart()`; by default everything is in memory. */
  onDisk?: boolean;
  /** Further flags of `statehoused`, such as `"--tx-timeout-ms=200"`. */
  flags?: readonly string[];
  /** The program; by default `$STATEHOUSED`, else `statehoused` on the PATH. */
  binary?: string;
  /** What its clients need to be told, such as a token. */
  client?: ClientOptions;
}

/** Milliseconds until it has to serve. */
const START = 30_000;

/** A daemon of its own, on a free port of this machine. */
export class Daemon {
  /** Chosen by the first start, kept by those that follow. */
  readonly port: number;
  readonly #options: DaemonOptions;
  readonly #folder: string;
  readonly #clients: Statehouse[] = [];
  #process: ChildProcess | undefined;

  private constructor(options: DaemonOptions, port: number) {
    this.#options = options;
    this.#folder = mkdtempSync(join(tmpdir(), "statehouse-"));
    this.port = port;
  }

  /** Starts one, and waits until it serves. */
  static async start(options: DaemonOptions = {}): Promise<Daemon> {
    const daemon = new Daemon(options, await freePort());
    try {
      await daemon.restart();
    } catch (failed) {
      await daemon.stop();
      throw failed;
    }
    return daemon;
  }

  /** What clients connect to. */
  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Makes a client of it, which `stop()` closes. */
  client(options: ClientOptions = {}): Statehouse {
    const client = new Statehouse({ address: this.address, ...this.#options.client, ...options });
    this.#clients.push(client);
    return client;
  }

  /** Returns what the daemon has logged, before its restarts too. */
  log(): string {
    return readFileSync(join(this.#folder, "log"), "utf8");
  }

  /** Starts it again on the same port and store; kills it first when it runs. */
  async restart(): Promise<void> {
    await this.crash();
    const binary = this.#options.binary ?? findBinary();
    const where = this.#options.onDisk
      ? `--data-dir=${join(this.#folder, "data")}`
      : "--use-memory";
    const flags = [`--listen-addr=${this.address}`, where, ...(this.#options.flags ?? [])];
    // Settings of Statehouse in the environment are not for it.
    const inherited = Object.entries(process.env).filter(
      ([name]) => !name.startsWith("STATEHOUSE_"),
    );
    const log = openSync(join(this.#folder, "log"), "a");
    const env = Object.fromEntries(inherited);
    this.#process = spawn(binary, flags, { env, stdio: ["ignore", log, log] });
    closeSync(log);
    await this.#healthy(this.#process);
  }

  /** Kills it with SIGKILL, so that it cannot shut down in good order. */
  async crash(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** Stops the process in its tracks: connections stay, answers do not come. */
  pause(): void {
    this.#process?.kill("SIGSTOP");
  }

  /** Lets a paused process go on. */
  resume(): void {
    this.#process?.kill("SIGCONT");
  }

  /** Ends it in good order, closes its clients, and removes what it made. */
  async stop(): Promise<void> {
    for (const client of this.#clients.splice(0)) client.close();
    this.resume();
    await this.#end("SIGTERM");
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const running = this.#process;
    this.#process = undefined;
    if (!running || running.exitCode !== null || running.signalCode !== null) return;
    const ended = once(running, "exit");
    running.kill(signal);
    await ended;
  }

  async #healthy(started: ChildProcess): Promise<void> {
    let failed: unknown;
    started.on("error", (error) => {
      failed = error;
    });
    const end = Date.now() + START;
    const options = { ...this.#options.client, timeoutMs: 1000, failFast: true };
    while (!failed && started.exitCode === null && Date.now() < end) {
      const probe = new Statehouse({ address: this.address, ...options });
      try {
        await probe.health();
        return;
      } catch (error) {
        if (error instanceof Unauthenticated) return; // it serves those who know its token
        if (!(error instanceof StatehouseError)) throw error;
        await sleep(10);
      } finally {
        probe.close();
      }
    }
    throw new Error(`statehoused does not serve: ${failed ?? ""}\n${this.log()}`);
  }
}

/** Finds the daemon's program. */
function findBinary(): string {
  const told = process.env.STATEHOUSED;
  if (told) return told;
  for (const folder of (process.env.PATH ?? "").split(delimiter)) {
    const path = join(folder, "statehoused");
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not there.
    }
  }
  throw new Error("statehoused is not on the PATH: put it there, or set STATEHOUSED to its path");
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address() as { port: number };
  probe.close();
  await once(probe, "close");
  return port;
}
