/**
 * `deno task bench [core|embedded|kafka|sink|dashboards|sizes|rules]`: speed and memory, with the figures printed. Quote
 * CPU seconds and ratios of one run: wall times on a shared machine wander.
 */
import { benchCore } from "./core_bench.ts";
import { benchDashboards } from "./dashboard_bench.ts";
import { benchEmbedded } from "./embedded_bench.ts";
import { benchKafka } from "./kafka_bench.ts";
import { benchRules } from "./rules_bench.ts";
import { benchSink } from "./sink_bench.ts";
import { benchSizes } from "./size_bench.ts";

const BENCHES: Record<string, () => void | Promise<void>> = {
  core: benchCore,
  embedded: benchEmbedded,
  kafka: benchKafka,
  sink: benchSink,
  dashboards: benchDashboards,
  sizes: benchSizes,
  rules: benchRules,
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
