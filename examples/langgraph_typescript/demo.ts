/** Runs the agent, which is killed before each of its steps; once the daemon is killed, too. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Daemon } from "@statehouse/sdk/testing";

const AGENT = fileURLToPath(new URL("agent.js", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "statehouse-"));
const WORLD = join(folder, "world.txt");

/** Runs the agent, and tells whether it was killed. */
async function run(daemon: Daemon, step: string): Promise<boolean> {
  const env = { ...process.env, STATEHOUSE_ADDRESS: daemon.address, WORLD, DIE_BEFORE: step };
  const agent = spawn(process.execPath, [AGENT], { env, stdio: "inherit" });
  const [code, signal] = await once(agent, "exit");
  assert.ok(signal === "SIGKILL" || code === 0, `the agent failed: ${code}`);
  return signal === "SIGKILL";
}

const daemon = await Daemon.start({ onDisk: true });
try {
  for (const step of ["plan", "search", "check", "answer"]) {
    console.log(`-- the agent is killed before it does: ${step}`);
    assert.ok(await run(daemon, step));
    if (step === "search") {
      console.log("-- the daemon is killed, too");
      await daemon.restart();
    }
  }
  console.log("-- the agent may finish");
  assert.ok(!(await run(daemon, "")));

  const did = readFileSync(WORLD, "utf8").trim().split("\n");
  assert.deepEqual(did, ["plan", "search", "check", "answer"]);
  console.log(`what it did to the world: ${did.join(", ")}`);

  console.log("-- what its thread is made of");
  const client = daemon.client();
  for await (const event of client.replay("thread/paris", { values: false })) {
    const channels = event.operations
      .filter(({ key }) => key.startsWith("v/"))
      .map(({ key }) => key.split("/")[2]);
    if (event.metadata.step === undefined) continue; // what a step wrote, until the next checkpoint
    console.log(`   commit ${event.commitTs}, step ${event.metadata.step}: ${channels.join(" ")}`);
  }
} finally {
  await daemon.stop();
  rmSync(folder, { recursive: true });
}
console.log("killed five times: every step was done once");
