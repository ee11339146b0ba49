/** Writes the rows of docs/CONFORMANCE.md: rows.mjs REPORT STORE, of a report of vitest as JSON. */

import { readFileSync } from "node:fs";

const [, , report, store] = process.argv;
const read = (path) => JSON.parse(readFileSync(path, "utf8"));
const suite = "@langchain/langgraph-checkpoint-validation";
const { version } = read(new URL(`../node_modules/${suite}/package.json`, import.meta.url));
const tests = read(report).testResults.flatMap((file) => file.assertionResults);
const isDelta = (test) =>
  test.ancestorTitles.some((title) => title.endsWith("#getDeltaChannelHistory"));

for (const [part, of] of [
  ["", tests.filter((test) => !isDelta(test))],
  [", delta channels (opt-in)", tests.filter(isDelta)],
]) {
  const passed = of.filter((test) => test.status === "passed").length;
  const failed = of.filter((test) => test.status === "failed").length;
  const left = of.length - passed - failed;
  const row = {
    suite: suite + part,
    version,
    tests: "LangGraph JS checkpointer",
    store,
    passed,
    run: passed + failed,
  };
  if (left > 0)
    row.skipped = `${left}, which the suite leaves out for this saver: it keeps all values with each checkpoint`;
  console.log(JSON.stringify(row));
}
