/**
 * An agent of four steps on LangGraph, whose thread is kept in Statehouse. It answers the question that it
 * is given, or goes on with what it was doing when it was killed.
 *
 * DIE_BEFORE names a step before which it is killed, as hard as can be: for the demonstration.
 */

import { appendFileSync } from "node:fs";
import { Annotation, END, START, StateGraph } from "@langchain/langgraph";
import { Statehouse } from "@statehouse/sdk";
import { StatehouseSaver } from "@statehouse/sdk/langgraph";

const State = Annotation.Root({
  question: Annotation<string>(),
  notes: Annotation<string[]>({
    reducer: (before, more) => [...before, ...more],
    default: () => [],
  }),
});

/** Does what has an effect on the world: here it writes a line into a file. */
function work(step: string): void {
  if (process.env.DIE_BEFORE === step) process.kill(process.pid, "SIGKILL");
  appendFileSync(process.env.WORLD ?? "world.txt", `${step}\n`);
}

const client = new Statehouse();
const graph = new StateGraph(State)
  .addNode("plan", ({ question }) => {
    work("plan");
    return { notes: [`to find out: ${question}`] };
  })
  .addNode("search", () => {
    work("search");
    return { notes: ["found: 2.1 million"] };
  })
  .addNode("check", () => {
    work("check");
    return { notes: ["two sources agree"] };
  })
  .addNode("answer", ({ notes }) => {
    work("answer");
    return { notes: [`answered after ${notes.length} notes`] };
  })
  .addEdge(START, "plan")
  .addEdge("plan", "search")
  .addEdge("search", "check")
  .addEdge("check", "answer")
  .addEdge("answer", END)
  .compile({ checkpointer: new StatehouseSaver(client) });

const config = { configurable: { thread_id: "paris" }, durability: "sync" as const };
const { next } = await graph.getState(config);
if (next.length > 0) console.log(`goes on with ${next.join(", ")}`);
const input = next.length > 0 ? null : { question: "the population of Paris" };
const { notes } = await graph.invoke(input, config);
console.log(notes.at(-1));
client.close();
