/**
 * The saver as `@langchain/langgraph-checkpoint-validation` takes one: against the daemon that
 * STATEHOUSE_ADDRESS names, each checkpointer in a namespace of its own.
 */

import {
  type CheckpointSaverTestInitializer,
  deltaChannelHistoryTests,
  validate,
} from "@langchain/langgraph-checkpoint-validation";
import { newTxnId, Statehouse } from "../src/index.js";
import { StatehouseSaver } from "../src/langgraph/index.js";

let client: Statehouse;

const initializer: CheckpointSaverTestInitializer<StatehouseSaver> = {
  checkpointerName: "@statehouse/sdk/langgraph",
  beforeAll() {
    client = new Statehouse();
  },
  afterAll() {
    client.close();
  },
  createCheckpointer() {
    return new StatehouseSaver(client.withOptions({ namespace: `suite-${newTxnId()}` }));
  },
};

validate(initializer);
deltaChannelHistoryTests(initializer); // opt-in, so the suite does not count it
