/**
 * The saver under `@langchain/langgraph-checkpoint-validation`: against the daemon that STATEHOUSE_ADDRESS
 * names, or one in memory, each checkpointer in a namespace of its own.
 */

import {
  type CheckpointSaverTestInitializer,
  deltaChannelHistoryTests,
  validate,
} from "@langchain/langgraph-checkpoint-validation";
import { newTxnId, Statehouse } from "../src/index.js";
import { StatehouseSaver } from "../src/langgraph/index.js";
import { Daemon } from "../src/testing.js";

let daemon: Daemon | undefined;
let client: Statehouse;

const initializer: CheckpointSaverTestInitializer<StatehouseSaver> = {
  checkpointerName: "@statehouse/sdk/langgraph",
  async beforeAll() {
    if (!process.env.STATEHOUSE_ADDRESS) daemon = await Daemon.start();
    client = new Statehouse(daemon ? { address: daemon.address } : {});
  },
  async afterAll() {
    client.close();
    await daemon?.stop();
  },
  createCheckpointer() {
    return new StatehouseSaver(client.withOptions({ namespace: `suite-${newTxnId()}` }));
  },
};

validate(initializer);
deltaChannelHistoryTests(initializer); // opt-in, so it does not count as the suite's
