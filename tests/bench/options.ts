import { readConfig } from "../../src/config.ts";
import { processorOptions } from "../../src/judging.ts";
import type { ProcessorOptions } from "../../src/core/options.ts";

/** The defaults of a live pipeline, whatever the environment says. */
export function benchOptions(): ProcessorOptions {
  return processorOptions(readConfig(null, () => undefined), 0, null);
}
