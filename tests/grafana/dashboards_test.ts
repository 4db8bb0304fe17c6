import assert from "node:assert/strict";
import { parse } from "yaml";
import {
  type AlertRule,
  alertRules,
  type Dashboard,
  DASHBOARDS,
  dataPanels,
  ROOT,
} from "./dashboards.ts";
import { putVariables } from "./macros.ts";

const uids = [...DASHBOARDS.values()].map(({ uid }) => uid);

/** Every object in a value, whatever its depth. */
function* objectsIn(value: unknown): Generator<Record<string, unknown>> {
  if (typeof value !== "object" || value === null) return;
  if (!Array.isArray(value)) yield value as Record<string, unknown>;
  for (const part of Object.values(value)) yield* objectsIn(part);
}

Deno.test("Every dashboard is a bare object under an identity and title of its own", () => {
  assert.equal(new Set(uids).size, DASHBOARDS.size);
  const titles = [...DASHBOARDS.values()].map(({ title }) => title);
  assert.deepEqual(titles, [
    "Data Quality Overview",
    "Meter Drill-Down",
    "System Health",
    "Validation and Incidents",
  ]);
});

Deno.test("Every panel has an id of its own and a place that no other has", () => {
  for (const [name, { panels }] of DASHBOARDS) {
    assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length, name);
    const taken = new Set<string>();
    for (const { title, gridPos: { x, y, w, h } } of panels) {
      assert.ok(x >= 0 && x + w <= 24, `${name} / ${title}`);
      for (let i = 0; i < w * h; i++) {
        const cell = `${x + i % w},${y + Math.floor(i / w)}`;
        assert.ok(!taken.has(cell), `${name} / ${title} lies on another panel`);
        taken.add(cell);
      }
    }
  }
});

Deno.test("Every panel says what it shows by name, unit or kind, and asks our data source", () => {
  for (const [name, dashboard] of DASHBOARDS) {
    for (const { title, targets = [], fieldConfig, type } of dataPanels(dashboard)) {
      assert.equal(targets.length, 1, `${name} / ${title}`);
      const steps = (fieldConfig.defaults.thresholds as { steps: unknown[] }).steps;
      assert.ok(steps.length > 0, `${name} / ${title}: no thresholds`);
      const isPlain = ["table", "heatmap"].includes(type) || title === "State" ||
        title === "Readings";
      const hasUnit = typeof fieldConfig.defaults.unit === "string" || title === "Open gaps";
      assert.ok(isPlain || hasUnit, `${name} / ${title}: no unit`);
    }
    for (const object of objectsIn(dashboard)) {
      const uid = (object.datasource as { uid?: string } | undefined)?.uid;
      if (uid !== undefined) assert.ok(["gridwatch", "-- Grafana --"].includes(uid), uid);
    }
  }
});

Deno.test("Times are shown in the viewer's zone", () => {
  for (const { timezone } of DASHBOARDS.values()) assert.equal(timezone, "browser");
});

Deno.test("A variable enters a query only in quotes of Grafana's making", () => {
  for (const [name, dashboard] of DASHBOARDS) {
    for (const object of objectsIn(dashboard)) {
      for (const key of ["rawSql", "query"]) {
        const sql = object[key];
        if (typeof sql !== "string") continue;
        for (const [, variable, format] of sql.matchAll(/\$\{?(?!__)(\w+)(?::(\w+))?\}?/g)) {
          assert.equal(format, "sqlstring", `${name}: $${variable} in\n${sql}`);
        }
      }
    }
  }
});

Deno.test("No query groups by a bare time: that would be the column, not its bucket", () => {
  for (const dashboard of DASHBOARDS.values()) {
    for (const { rawSql } of objectsIn(dashboard) as Iterable<{ rawSql?: string }>) {
      assert.doesNotMatch(rawSql ?? "", /GROUP BY[^\n]*\btime\b(?!,| AT)/i);
    }
  }
});

Deno.test("Every link leads to a dashboard that is there, with variables that it has", () => {
  const links: [string, Dashboard][] = [];
  for (const dashboard of DASHBOARDS.values()) {
    for (const { url } of objectsIn(dashboard)) {
      if (typeof url === "string" && url !== "") links.push([url, dashboard]);
    }
  }
  assert.ok(links.length >= 8);
  for (const [url, from] of links) {
    const [, uid, query] = /^\/d\/([\w-]+)\?(.*)$/.exec(url) ?? [];
    const target = [...DASHBOARDS.values()].find((dashboard) => dashboard.uid === uid);
    assert.ok(target, url);
    for (const [, name] of query.matchAll(/var-(\w+)=/g)) {
      assert.ok(target.templating.list.some((variable) => variable.name === name), url);
    }
    for (const [, name] of query.matchAll(/\$\{(?!__)(\w+)/g)) {
      assert.ok(from.templating.list.some((variable) => variable.name === name), url);
    }
  }
});

Deno.test("Every dashboard has a way to the data, however old it is", () => {
  const variables = { data_from: "1388534400000", data_to: "1390953600000", meter_id: "A 1" };
  for (const { uid, links } of DASHBOARDS.values()) {
    const [way] = links.filter(({ type }) => type === "link");
    const url = putVariables(way.url, { fromMs: 0, toMs: 0, intervalMs: 1000, variables });
    assert.ok(url.startsWith(`/d/${uid}?from=1388534400000&to=1390953600000`), url);
    assert.ok(uid !== "gridwatch-meter" || url.endsWith("&var-meter_id=A%201"), url);
  }
});

Deno.test("The data source is the one that dashboards and alert rules ask", () => {
  const text = Deno.readTextFileSync(new URL("provisioning/datasources/gridwatch.yaml", ROOT));
  const { datasources: [source] } = parse(text) as {
    datasources: { uid: string; type: string; secureJsonData: { password: string } }[];
  };
  assert.equal(source.uid, "gridwatch");
  assert.equal(source.type, "grafana-postgresql-datasource");
  assert.match(source.secureJsonData.password, /^\$\w+$/);
});

Deno.test("Alert rules end in a threshold over their query, and name a panel to look at", () => {
  const rules = alertRules();
  assert.deepEqual(rules.map(({ uid }) => uid), [
    "gridwatch-completeness",
    "gridwatch-open-gaps",
    "gridwatch-shared-outage",
    "gridwatch-consumer-lag",
    "gridwatch-stalled",
    "gridwatch-sink-errors",
    "gridwatch-watermarks-apart",
    "gridwatch-silent-meters",
    "gridwatch-ledger",
  ]);
  for (const { title, condition, data } of rules) {
    const [query, threshold] = data;
    assert.deepEqual([query.refId, query.datasourceUid], ["A", "gridwatch"], title);
    assert.deepEqual([threshold.refId, threshold.datasourceUid], [condition, "__expr__"], title);
    assert.equal(threshold.model.expression, "A");
    const [{ evaluator }] = threshold.model.conditions ?? [];
    assert.match(evaluator.type, /^(lt|gt)$/);
    assert.equal(typeof evaluator.params[0], "number");
    // Grafana puts its own environment in for a dollar sign in these files.
    assert.doesNotMatch(JSON.stringify(data), /\$/);
  }
  const shown = rules.map((rule) => {
    const { title, annotations } = rule as unknown as AlertRule & {
      annotations: Record<string, string>;
    };
    const board = [...DASHBOARDS.values()].find(({ uid }) => uid === annotations.__dashboardUid__);
    const panel = board?.panels.find(({ id }) => String(id) === annotations.__panelId__);
    return `${title}: ${panel?.title}`;
  });
  assert.deepEqual(shown, [
    "Completeness under the target: Completeness",
    "Many open gaps: Open gaps",
    "Shared outage: Open outages",
    "Consumer lag: Consumer lag by partition",
    "Readings do not get into the tables: Way into the tables by partition",
    "Messages became no row: Messages that the database refused",
    "Watermarks of the partitions are apart: Watermark lag by partition",
    "Meters are silent: Silent meters",
    "Ledger out of balance: Ledger",
  ]);
});
