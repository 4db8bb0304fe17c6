/**
 * What Grafana makes of a query before PostgreSQL sees it, by its documentation: first the page puts
 * the variables in, then the server expands the macros of its PostgreSQL data source (without its
 * TimescaleDB option).
 */
export type QueryContext = {
  readonly fromMs: number;
  readonly toMs: number;
  /** $__interval */
  readonly intervalMs: number;
  readonly variables: Readonly<Record<string, Variable>>;
};

/** A variable's choice: one value, several, or "All" with a value of its own, put in as it stands. */
export type Variable = string | readonly string[] | { readonly allValue: string };

/** Expands a query. Throws for a variable, format or macro that Grafana would leave or refuse. */
export function expandQuery(sql: string, context: QueryContext): string {
  return expandMacros(putVariables(sql, context), context);
}

/** Puts variables in, in SQL or in the address of a link. */
export function putVariables(text: string, context: QueryContext): string {
  return text
    .replace(/\$\{(\w+)(?::(\w+))?\}/g, (_, name, format) => {
      const variable = context.variables[name];
      if (variable === undefined) throw new Error(`no variable ${name}`);
      return formatVariable(variable, format ?? "glob");
    })
    .replace(/\$__interval_ms\b/g, String(context.intervalMs))
    .replace(/\$__interval\b/g, intervalText(context.intervalMs));
}

/** https://grafana.com/docs/grafana/latest/dashboards/variables/variable-syntax/ */
function formatVariable(variable: Variable, format: string): string {
  if (typeof variable === "object" && "allValue" in variable) {
    if (format !== "percentencode" && format !== "text") return variable.allValue;
    return formatVariable(variable.allValue, format);
  }
  const values = typeof variable === "string" ? [variable] : variable;
  switch (format) {
    case "sqlstring":
      return values.map((value) => `'${value.replaceAll("'", "''")}'`).join(",");
    case "singlequote":
      return values.map((value) => `'${value.replaceAll("'", "\\'")}'`).join(",");
    case "csv":
    case "raw":
      return values.join(",");
    case "percentencode":
      return encodeURIComponent(values.length === 1 ? values[0] : `{${values.join(",")}}`);
    case "glob":
      return values.length === 1 ? values[0] : `{${values.join(",")}}`;
    default:
      throw new Error(`unknown format ${format}`);
  }
}

const UNITS = [["d", 86_400_000], ["h", 3_600_000], ["m", 60_000], ["s", 1000]] as const;

/** 5400000 → "90m". */
function intervalText(ms: number): string {
  const [unit, size] = UNITS.find(([, size]) => ms % size === 0) ?? ["ms", 1];
  return `${ms / size}${unit}`;
}

function intervalSeconds(text: string): number {
  const [, count, unit] = /^(\d+)(ms|[smhdw])$/.exec(text) ?? [];
  const size = unit === "ms"
    ? 1
    : unit === "w"
    ? 7 * 86_400_000
    : UNITS.find(([name]) => name === unit)?.[1];
  if (size === undefined) throw new Error(`error parsing interval ${text}`);
  return Number(count) * size / 1000;
}

/** https://grafana.com/docs/grafana/latest/datasources/postgres/#macros */
export function expandMacros(sql: string, { fromMs, toMs }: QueryContext): string {
  const time = (ms: number) => `'${new Date(ms).toISOString().replace(".000Z", "Z")}'`;
  return sql.replace(/\$(\w+)\(([^)]*)\)/g, (whole: string, given: string, list: string, at) => {
    const args = list.split(",").map((arg) => arg.trim());
    // A $__timeGroup right before a comma gets its alias, as in queries of old.
    const isOld = given === "__timeGroup" && sql[at + whole.length] === ",";
    const name = isOld ? "__timeGroupAlias" : given;
    const [column, interval = ""] = args;
    if (column === "" && !/^__time(From|To)$/.test(name)) throw new Error(`${whole}: no column`);
    const group = () => {
      const seconds = intervalSeconds(interval.replace(/^'|'$/g, ""));
      return `floor(extract(epoch from ${column})/${seconds})*${seconds}`;
    };
    switch (name) {
      case "__time":
        return `${column} AS "time"`;
      case "__timeEpoch":
        return `extract(epoch from ${column}) as "time"`;
      case "__timeFilter":
        return `${column} BETWEEN ${time(fromMs)} AND ${time(toMs)}`;
      case "__timeFrom":
        return time(fromMs);
      case "__timeTo":
        return time(toMs);
      case "__timeGroup":
        return group();
      case "__timeGroupAlias":
        return `${group()} AS "time"`;
      case "__unixEpochFilter":
        return `${column} >= ${Math.floor(fromMs / 1000)} AND ` +
          `${column} <= ${Math.floor(toMs / 1000)}`;
      default:
        throw new Error(`unknown macro "${given}"`);
    }
  });
}

/** $__interval of a range: what gives at most so many points, rounded, and not below the panel's. */
export function intervalOf(
  { fromMs, toMs }: { fromMs: number; toMs: number },
  { pointsMax = 1000, min = "1s" }: { pointsMax?: number; min?: string } = {},
): number {
  const wantedMs = Math.max((toMs - fromMs) / pointsMax, intervalSeconds(min) * 1000);
  return ROUND_MS.find((ms) => ms >= wantedMs) ?? 7 * 86_400_000;
}

const ROUND_MS = [
  ...[1, 2, 5, 10, 15, 20, 30].map((seconds) => seconds * 1000),
  ...[1, 2, 5, 10, 15, 20, 30].map((minutes) => minutes * 60_000),
  ...[1, 2, 3, 6, 12].map((hours) => hours * 3_600_000),
  ...[1, 7].map((days) => days * 86_400_000),
];
