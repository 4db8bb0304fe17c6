import type { Severity } from "../core/rules/slot_rule.ts";
import { conditions, cutToLimit, type List } from "./lists.ts";
import { dialectOf, type ListPage, type Query } from "./query.ts";
import { isoFromMs, toIsoOrNull, toNumber, toNumberOrNull } from "./values.ts";

/** What a rule of validation has found: a run of slots, or an episode of days. Energies are in kWh. */
export type ValidationRow = {
  readonly meter_id: string;
  readonly rule: string;
  readonly severity: Severity;
  readonly from: string | null;
  /** The first slot after it. */
  readonly to: string | null;
  readonly slots: number;
  readonly value: number;
  readonly limit: number | null;
  readonly detail: string;
  readonly partition: number;
};

/** Which records are wanted; null is all. A span of event time takes every record that touches it. */
export type ValidationFilter = {
  readonly rule: string | null;
  readonly meterId: string | null;
  readonly fromMs: number | null;
  readonly toMs: number | null;
};

/** What rules have found, the latest first. */
export async function listFindings(
  query: Query,
  filter: ValidationFilter & ListPage,
): Promise<List<ValidationRow>> {
  const { order, time } = dialectOf(query);
  const where = conditions([
    ["rule = $?", filter.rule],
    ["meter_id = $?", filter.meterId],
    [`${order('"to"')} > ${order(time("$?"))}`, isoFromMs(filter.fromMs)],
    [`${order('"from"')} < ${order(time("$?"))}`, isoFromMs(filter.toMs)],
  ]);
  const rows = await query(
    `SELECT * FROM validation_records ${where.sql}
     ORDER BY ${order('"from"')} DESC, meter_id, rule
     LIMIT ${filter.limit + 1} OFFSET ${filter.offset}`,
    where.params,
  );
  return cutToLimit(rows, filter.limit, (row) => ({
    meter_id: String(row.meter_id),
    rule: String(row.rule),
    severity: row.severity as Severity,
    from: toIsoOrNull(row.from),
    to: toIsoOrNull(row.to),
    slots: toNumber(row.slots),
    value: toNumber(row.value),
    limit: toNumberOrNull(row.limit),
    detail: String(row.detail),
    partition: toNumber(row.source_partition),
  }));
}

/** How many records there are of each rule, the commonest first. */
export async function countFindings(
  query: Query,
): Promise<{ readonly rule: string; readonly severity: string; readonly count: number }[]> {
  const rows = await query(
    `SELECT rule, severity, count(*) AS count FROM validation_records
     GROUP BY rule, severity ORDER BY count(*) DESC, rule LIMIT 100`,
  );
  return rows.map(({ rule, severity, count }) => ({
    rule: String(rule),
    severity: String(severity),
    count: toNumber(count),
  }));
}
