/**
 * Runs the code of README.md: `readme.mjs write` puts it into a module of .build/readme, which is to be
 * compiled; `readme.mjs run` runs that against a daemon, and compares what it prints with the comments.
 */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const here = new URL("../", import.meta.url);
const source = new URL(".build/readme/readme.ts", here);

/** Puts the blocks of code into one module. */
function write() {
  const page = readFileSync(new URL("README.md", here), "utf8");
  const blocks = [...page.matchAll(/^```ts\n(.*?)^```$/gms)].map((found) => found[1]);
  assert.ok(blocks.length > 8, "the page has code");
  mkdirSync(new URL(".", source), { recursive: true });
  // The daemon is the one of the environment.
  writeFileSync(source, blocks.join("\n").replace('{ address: "localhost:50051" }', ""));
}

/** What the comments say that is printed: after a console.log, or on lines of their own that begin with a number. */
function said() {
  return readFileSync(source, "utf8")
    .split("\n")
    .map((line) => /console\.log\(.*\).*? \/\/ (.*)$/.exec(line) ?? /^\/\/ (\d+n .*)$/.exec(line))
    .filter((found) => found && !found[1].startsWith("committed, or"))
    .map((found) => found[1]);
}

if (process.argv[2] === "write") write();
else {
  const { Daemon } = await import("@statehouse/sdk/testing");
  const daemon = await Daemon.start();
  try {
    const program = fileURLToPath(new URL("js/readme.js", source));
    const env = { ...process.env, STATEHOUSE_ADDRESS: daemon.address };
    const printed = execFileSync(process.execPath, [program], { env, encoding: "utf8" });
    assert.ok(said().length > 12, "the page says what it prints");
    assert.deepEqual(printed.trim().split("\n"), said());
    console.log(`README.md: ${said().length} lines are what they are said to be`);
  } finally {
    await daemon.stop();
  }
}
