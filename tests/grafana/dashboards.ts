/** The dashboards and alert rules as they stand in `grafana/`, and the queries in them. */
import { parse } from "yaml";

export const ROOT = new URL("../../grafana/", import.meta.url);

export type Target = {
  readonly refId: string;
  readonly format: "time_series" | "table";
  readonly rawSql: string;
  readonly datasource: { readonly uid: string };
};
export type Panel = {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: {
    readonly x: number;
    readonly y: number;
    readonly w: number;
    readonly h: number;
  };
  readonly targets?: readonly Target[];
  readonly interval?: string;
  readonly maxDataPoints?: number;
  readonly options: { readonly reduceOptions?: { readonly fields?: string } };
  readonly fieldConfig: {
    readonly defaults: Readonly<Record<string, unknown>> & {
      readonly custom?: unknown;
      readonly links?: readonly { readonly url: string }[];
    };
    readonly overrides: readonly {
      readonly matcher: { readonly id: string; readonly options: string };
      readonly properties: readonly { readonly id: string; readonly value: unknown }[];
    }[];
  };
};
export type Dashboard = {
  readonly uid: string;
  readonly title: string;
  readonly time: { readonly from: string; readonly to: string };
  readonly timezone: string;
  readonly links: readonly { readonly url: string; readonly type: string }[];
  readonly panels: readonly Panel[];
  readonly templating: {
    readonly list: readonly {
      readonly name: string;
      readonly query: string;
      readonly hide: number;
      readonly allValue?: string;
    }[];
  };
  readonly annotations: {
    readonly list: readonly {
      readonly name: string;
      readonly builtIn?: number;
      readonly target?: Target;
    }[];
  };
};

export const NAMES = [
  ...["data-quality-overview", "meter-drill-down", "system-health", "validation-and-incidents"],
] as const;

/** By the name of the file. */
export const DASHBOARDS: ReadonlyMap<string, Dashboard> = new Map(
  NAMES.map((name) => [
    name,
    JSON.parse(Deno.readTextFileSync(new URL(`dashboards/${name}.json`, ROOT))) as Dashboard,
  ]),
);

export type AlertRule = {
  readonly uid: string;
  readonly title: string;
  readonly condition: string;
  readonly noDataState: string;
  readonly execErrState: string;
  readonly data: readonly {
    readonly refId: string;
    readonly datasourceUid: string;
    readonly model: Readonly<Record<string, unknown>> & {
      readonly type?: string;
      readonly rawSql?: string;
      readonly expression?: string;
      readonly conditions?: readonly {
        readonly evaluator: { readonly type: string; readonly params: readonly number[] };
      }[];
    };
  }[];
};

/** The rules of every file in `provisioning/alerting/`. */
export function alertRules(): readonly AlertRule[] {
  const text = Deno.readTextFileSync(new URL("provisioning/alerting/gridwatch.yaml", ROOT));
  const { groups } = parse(text) as { groups: readonly { rules: readonly AlertRule[] }[] };
  return groups.flatMap(({ rules }) => rules);
}

/** The panels that show data. */
export function dataPanels({ panels }: Dashboard): readonly Panel[] {
  return panels.filter(({ type }) => type !== "row");
}
