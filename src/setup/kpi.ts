import type { Config } from "../settings.ts";

/** The share of expected slots that should be valid, by the settings. */
export function kpiTarget(config: Config): number {
  return config["kpi.completeness_target_percent"] / 100;
}
