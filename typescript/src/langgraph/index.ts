/**
 * LangGraph on Statehouse: a checkpointer.
 *
 * ```ts
 * import { Statehouse } from "@statehouse/sdk";
 * import { StatehouseSaver } from "@statehouse/sdk/langgraph";
 *
 * const graph = builder.compile({ checkpointer: new StatehouseSaver(new Statehouse()) });
 * ```
 *
 * It needs `@langchain/langgraph-checkpoint`, which comes with `@langchain/langgraph`.
 *
 * @packageDocumentation
 */

export { ThreadConflict } from "./owning.js";
export { type SaverOptions, StatehouseSaver } from "./saver.js";
export type { PruneStrategy } from "./upkeep.js";
