/**
 * Tries mutants of the client, or of its LangGraph saver: `mutants.mjs client|langgraph [SAMPLE [SEED]]`
 * prints how many of them the tests kill, and every one that survives.
 *
 * Stryker makes them, all into one program, in which the environment says which one is on. Its
 * instrumenter is not among the dependencies: $STRYKER is the directory where
 * `npm install @stryker-mutator/instrumenter@9.6.1` was run. $STATEHOUSED is the daemon. All happens in
 * a copy of this directory. Of a mutant those test files run that come by it.
 */

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const [part = "client", sample = "40", seed = "1"] = process.argv.slice(2);
const here = dirname(fileURLToPath(import.meta.url));
const from = createRequire(join(process.env.STRYKER, "package.json"));
const stryker = pathToFileURL(from.resolve("@stryker-mutator/instrumenter"));
const { Instrumenter } = await import(stryker);

/** Mutators that change what is said to people, and what the compiler alone sees. */
const EXCLUDED = ["StringLiteral", "Regex"];
/** Milliseconds that the tests of a file may take; then a mutant counts as killed. */
const LONGEST = 180_000;
/** Writes which mutants a test file comes by, for whom $COVERAGE names a file. */
const COVERAGE = `import { writeFileSync } from "node:fs";
process.on("exit", () => {
  const { mutantCoverage } = globalThis.__stryker__ ?? {};
  if (mutantCoverage && process.env.COVERAGE) writeFileSync(process.env.COVERAGE, JSON.stringify(mutantCoverage.static));
});`;

const root = fs.mkdtempSync(join(tmpdir(), "mutants-"));
const work = join(root, "typescript");
process.on("exit", () => fs.rmSync(root, { recursive: true }));

/** Whether a source is mutated. */
function chosen(name) {
  const saver = name.startsWith("langgraph/");
  const ours = name.endsWith(".ts") && !name.startsWith("proto/") && name !== "testing.ts";
  return ours && saver === (part === "langgraph");
}

async function main() {
  for (const name of [
    "src",
    "test",
    "conformance",
    "tsconfig.json",
    "tsconfig.test.json",
    "package.json",
  ]) {
    fs.cpSync(join(here, name), join(work, name), { recursive: true });
  }
  fs.symlinkSync(join(here, "node_modules"), join(work, "node_modules"));
  fs.symlinkSync(join(here, "../client"), join(root, "client")); // whose test data tests read
  fs.writeFileSync(join(work, "coverage.mjs"), COVERAGE);
  const source = new Map();
  const files = fs
    .readdirSync(join(work, "src"), { recursive: true, encoding: "utf8" })
    .filter(chosen)
    .sort()
    .map((name) => ({
      name,
      mutate: true,
      content: fs.readFileSync(join(work, "src", name), "utf8"),
    }));
  for (const { name, content } of files) source.set(name, content.split("\n"));
  const quiet = { isDebugEnabled: () => false, debug() {}, info() {}, warn() {} };
  const options = { excludedMutations: EXCLUDED, ignorers: [], plugins: null };
  const made = await new Instrumenter(quiet).instrument(files, options);
  for (const { name, content } of made.files) {
    fs.writeFileSync(join(work, "src", name), `// @ts-nocheck\n${content}`);
  }
  const compiled = spawnSync("node_modules/.bin/tsc", ["-p", "tsconfig.test.json"], { cwd: work });
  if (compiled.status !== 0) throw new Error(String(compiled.stdout));
  const tests = fs
    .readdirSync(join(work, ".build/test"))
    .filter((name) => name.endsWith(".test.js"))
    .filter((name) => name.startsWith("langgraph") === (part === "langgraph"));
  if (refused({})) throw new Error("LangGraph's validation suite fails without a mutant");
  const covers = new Map(tests.map((test) => [test, covered(test)]));
  const mutants = made.mutants.filter(({ status }) => status !== "Ignored");
  const drawn = mutants
    .map((mutant) => ({ mutant, place: hash(`${seed} ${mutant.id}`) }))
    .sort((a, b) => (a.place < b.place ? -1 : 1))
    .slice(0, Number(sample));
  let killed = 0;
  for (const { mutant } of drawn) {
    const ran = tests.filter((test) => covers.get(test).has(mutant.id));
    const on = { __STRYKER_ACTIVE_MUTANT__: mutant.id };
    if (ran.some((test) => fails(() => run(test, on))) || refused(on)) {
      killed++;
      continue;
    }
    const { start, end } = mutant.location;
    const was = source.get(mutant.fileName).slice(start.line, end.line + 1);
    const by = ran.length > 0 ? "" : " (no test comes by it)";
    console.log(`src/${mutant.fileName}:${start.line + 1}: ${mutant.mutatorName}${by}`);
    console.log(`    - ${was.join("\n    - ")}\n    + ${mutant.replacement}`);
  }
  console.log(`${part}: ${killed} of ${drawn.length} killed, drawn from ${mutants.length}`);
}

/** Runs a test file. */
function run(test, environment) {
  const flags = ["--import", join(work, "coverage.mjs")];
  return spawned(process.execPath, [...flags, join(".build/test", test)], environment);
}

function spawned(program, flags, environment) {
  return spawnSync(program, flags, {
    cwd: work,
    env: { ...process.env, ...environment },
    timeout: LONGEST,
    killSignal: "SIGKILL",
  });
}

/** Whether LangGraph's validation suite refuses the saver. */
function refused(environment) {
  if (part !== "langgraph") return false;
  const command = ["run", "--globals", "--bail", "1", "--dir", "conformance", "statehouse"];
  return spawned("node_modules/.bin/vitest", command, { ...environment, CI: "true" }).status !== 0;
}

/** The mutants that a test file comes by. */
function covered(test) {
  const file = join(work, "covered.json");
  let last;
  if (fails(() => (last = run(test, { COVERAGE: file })))) {
    throw new Error(`${test} fails without a mutant: ${last.stdout}`);
  }
  const ids = fs.existsSync(file) ? Object.keys(JSON.parse(fs.readFileSync(file, "utf8"))) : [];
  fs.rmSync(file, { force: true });
  return new Set(ids);
}

/** Whether it fails, and fails again: on a busy machine a test may fail once without a reason. */
function fails(ran) {
  return ran().status !== 0 && ran().status !== 0;
}

function hash(text) {
  return createHash("sha256").update(text).digest("hex");
}

await main();
