/**
 * `deno task bench` with the names of benches, all without: speed and memory, with the figures printed.
 * Quote CPU seconds and ratios of one run: wall times on a shared machine wander.
 */
import { benchAudit } from "./audit_bench.ts";
import { benchCore } from "./core_bench.ts";
import { benchDashboards } from "./dashboard_bench.ts";
import { benchEstimates } from "./estimates_bench.ts";
import { benchEmbedded } from "./embedded_bench.ts";
import { benchKafka } from "./kafka_bench.ts";
import { benchCompression, benchPartitions } from "./kafka_load_bench.ts";
import { benchRules } from "./rules_bench.ts";
import { benchSink } from "./sink_bench.ts";
import { benchSizes } from "./size_bench.ts";

const BENCHES: Record<string, () => void | Promise<void>> = {
  core: benchCore,
  audit: benchAudit,
  embedded: benchEmbedded,
  kafka: benchKafka,
  compression: benchCompression,
  partitions: benchPartitions,
  rules: benchRules,
  estimates: benchEstimates,
  sink: benchSink,
  dashboards: benchDashboards,
  sizes: benchSizes,
};

const wanted = Deno.args.length > 0 ? Deno.args : Object.keys(BENCHES);
for (const name of wanted) {
  if (!Object.hasOwn(BENCHES, name)) {
    console.error(`error: no bench "${name}"\nhint: ${Object.keys(BENCHES).join(", ")}`);
    Deno.exit(2);
  }
}
console.log(`${navigator.hardwareConcurrency} cores, Deno ${Deno.version.deno}`);
for (const name of wanted) await BENCHES[name]();
