/**
 * The dashboards against the types that Grafana publishes, exactly: a key that is none of theirs is
 * an error, and so is a word that is none of an enumeration's. The types are checked by Deno's own
 * compiler in a folder of its own, so that Grafana's package is no dependency of ours.
 */
import assert from "node:assert/strict";
import { DASHBOARDS, type Panel } from "./dashboards.ts";

const PACKAGE = "npm:@grafana/schema@13.2.3";
const raw = (kind: string, name: string) =>
  `${PACKAGE}/dist/esm/raw/composable/${kind}/panelcfg/x/${name}PanelCfg_types.gen`;

/** Kinds of panels that are in use; what is not here (`graph`, `singlestat`, …) is refused. */
const KINDS: Readonly<Record<string, string>> = {
  timeseries: "TimeSeries",
  stat: "Stat",
  "state-timeline": "StateTimeline",
  heatmap: "Heatmap",
  table: "Table",
};

/** As JSON has them: the words of an enumeration for the enumeration. */
const HEAD = [
  `import type * as grafana from "${PACKAGE}";`,
  ...Object.entries(KINDS).map(([kind, name]) =>
    `import type * as ${name} from "${raw(kind.replaceAll("-", ""), name)}";`
  ),
  `type Json<T> = T extends string ? \`\${T}\` : T extends number ? number
    : T extends readonly (infer U)[] ? Json<U>[]
    : T extends object ? { [K in keyof T]: Json<T[K]> } : T;`,
  `type Target = { refId: string; datasource: grafana.DataSourceRef; editorMode: "code";
    format: "time_series" | "table"; rawQuery: true; rawSql: string };`,
  `type Annotation = grafana.AnnotationQuery<Target>;`,
  `type Dashboard = Omit<grafana.Dashboard, "annotations"> & { annotations: { list: Annotation[] } };`,
  // The table's frameIndex is required by its type and left out by Grafana itself.
  `type Optional<T> = "frameIndex" extends keyof T ? Partial<T> : T;`,
  // The plugin has them, its published type lacks them.
  `type Nulls = { spanNulls?: boolean | number; insertNulls?: boolean | number };`,
  `type Hide = { hideFrom?: grafana.HideSeriesConfig; filterable?: boolean };`,
].join("\n");

/** A file that the compiler accepts when the dashboard is one. */
function source(dashboard: unknown, panels: readonly Panel[]): string {
  const lines = [
    HEAD,
    `export const whole = ${code(dashboard)} satisfies Json<Dashboard>;`,
  ];
  for (const { id, type, options, fieldConfig, targets } of panels) {
    if (type === "row") continue;
    const name = KINDS[type];
    assert.ok(name, `panel ${id} is a ${type}`);
    lines.push(`export const o${id} = ${code(options)} satisfies Json<Optional<${name}.Options>>;`);
    lines.push(`export const t${id} = ${code(targets)} satisfies Target[];`);
    const { custom } = fieldConfig.defaults;
    if (custom !== undefined) {
      const known = name === "Stat" ? "never" : `Json<${name}.FieldConfig & Nulls & Hide>`;
      lines.push(`export const c${id} = ${code(custom)} satisfies ${known};`);
    }
  }
  return lines.join("\n");
}

const code = (value: unknown) => JSON.stringify(value);

async function typeErrors(sources: Readonly<Record<string, string>>): Promise<string> {
  const folder = await Deno.makeTempDir({ prefix: "gridwatch-schema-" });
  try {
    for (const [name, text] of Object.entries(sources)) {
      await Deno.writeTextFile(`${folder}/${name}.ts`, text);
    }
    const files = Object.keys(sources).map((name) => `${name}.ts`);
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["check", "--no-config", "--no-lock", "--quiet", ...files],
      cwd: folder,
      env: { NO_COLOR: "1" },
    }).output();
    return success ? "" : new TextDecoder().decode(stderr);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("Every dashboard is one by Grafana's own types, to the last key of each panel", async () => {
  const sources = [...DASHBOARDS].map(([name, dashboard]) =>
    [name, source(dashboard, dashboard.panels)] as const
  );
  assert.equal(await typeErrors(Object.fromEntries(sources)), "");
});

Deno.test("The check of types finds what the original's dashboards had wrong", async () => {
  const [dashboard] = DASHBOARDS.values();
  const [panel] = dashboard.panels;
  const wrapped = source({ dashboard }, []);
  assert.match(await typeErrors({ wrapped }), /'"dashboard"' does not exist/);
  const misspelt = source(dashboard, [
    { ...panel, options: { ...panel.options, grafMode: 1 } } as Panel,
  ]);
  assert.match(await typeErrors({ misspelt }), /grafMode/);
  assert.throws(() => source(dashboard, [{ ...panel, type: "graph" }]), /is a graph/);
});
