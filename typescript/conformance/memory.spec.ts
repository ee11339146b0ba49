/** The framework's own saver in memory, put to the same suite. */

import { MemorySaver } from "@langchain/langgraph-checkpoint";
import {
  type CheckpointSaverTestInitializer,
  deltaChannelHistoryTests,
  validate,
} from "@langchain/langgraph-checkpoint-validation";

const initializer: CheckpointSaverTestInitializer<MemorySaver> = {
  checkpointerName: "MemorySaver",
  createCheckpointer: () => new MemorySaver(),
};

validate(initializer);
deltaChannelHistoryTests(initializer); // opt-in, so it does not count as the suite's
