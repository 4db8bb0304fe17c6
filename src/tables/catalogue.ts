/** A table or view that a person may ask, and what a row of it is. */
export type Listed = { readonly name: string; readonly about: string };

/** What can be asked with SQL, the most useful first, on every database that Gridwatch writes. */
export const CATALOGUE: readonly Listed[] = [
  { name: "meter_status", about: "meters: how each stands, and its account" },
  { name: "completeness", about: "of all meters, and of those that report" },
  { name: "gap_status", about: "gaps, with their length as known now" },
  { name: "incidents", about: "shared outages: gaps that start together" },
  { name: "silences", about: "silent meters: since when, how many slots by now" },
  { name: "completeness_daily", about: "a meter's day: readings, missing, percent" },
  { name: "completeness_local_daily", about: "a meter's day of the configured zone" },
  { name: "completeness_fleet_daily", about: "the same of the whole fleet" },
  { name: "validated_readings", about: "accepted readings, with status and flags" },
  { name: "rejected_readings", about: "unusable and repeated ones: reason, raw record" },
  { name: "duplicates", about: "repeats, and what holds their slot" },
  { name: "late_events", about: "readings that came too late to be taken" },
  { name: "gap_recovery", about: "missing slots that a too-late reading covered" },
  { name: "late_revisions", about: "too-late readings for a slot that is taken" },
  { name: "revisions", about: "readings that replace another, and which" },
  { name: "readings_current", about: "accepted readings, of a slot the newest" },
  { name: "validation_records", about: "what rules have found, a run or episode each" },
  { name: "gap_alerts", about: "gaps as they were last announced" },
  { name: "incident_meters", about: "whose gaps an incident is made of" },
  { name: "meters_failing_together", about: "pairs whose gaps start together" },
  { name: "kpi_slots", about: "slots valid and expected, parts of a meter's day" },
  { name: "kpi_gaps", about: "gaps by day, with their minutes to recover" },
  { name: "kpi_arrivals", about: "when readings came: latency, hours after the day" },
  { name: "meter_intervals", about: "how long the interval of a meter is" },
  { name: "meters_current", about: "the registry as it is in force now" },
  { name: "meters", about: "the registry: who is expected, by version" },
  { name: "estimated_readings", about: "estimates of missing readings" },
  { name: "estimate_refusals", about: "gaps that are not estimated, and why" },
  { name: "missing_daily", about: "missing slots of a meter by day" },
  { name: "readings_daily", about: "accepted readings of a meter by day" },
  { name: "readings_fleet_daily", about: "the same of the fleet, by day and partition" },
  { name: "readings_meter_daily", about: "a meter's day and partition, kept as they come" },
  { name: "gap_summary_hourly", about: "gaps of a meter by hour and state" },
  { name: "late_events_summary_hourly", about: "too-late readings of a meter by hour" },
  { name: "metrics", about: "the pipeline's own figures, one by one" },
  { name: "metrics_summary_hourly", about: "the same by hour" },
  { name: "ledger", about: "raw records of a partition by what became of them" },
  { name: "positions", about: "how far a partition is read, and its watermark" },
];

/** The catalogue in lines of a screen. */
export function catalogueLines(): string[] {
  const width = Math.max(...CATALOGUE.map(({ name }) => name.length));
  return CATALOGUE.map(({ name, about }) => `  ${name.padEnd(width)}  ${about}`);
}
