/** The key figures: how much of the error budget is used, how long gaps last, how late readings come. */
import { byId, getJson, h, reconcile, setText } from "./dom.js";
import { formatCount, formatPercent, formatSeconds } from "./format.js";

const percent = (share) => share === null ? "–" : formatPercent(share * 100, 2);
const times = (rate) => rate === null ? "–" : `${formatCount(Math.round(rate * 10) / 10)} ×`;
const seconds = (value) => value === null ? "–" : formatSeconds(value);
const minutes = (value) => value === null ? "–" : formatSeconds(value * 60);

/** Each figure's name, what it says, and how it is written. */
const FIGURES = [
  ["Error budget used", "What is lacking, of what may be", (k) => percent(k.error_budget_used)],
  ["Burn rate, 1 h", "Times as fast as the budget lasts", (k) => times(k.burn_rate_1h)],
  ["Burn rate, 6 h", "Times as fast as the budget lasts", (k) => times(k.burn_rate_6h)],
  ["Gap, mean", "Of gaps that are over", (k) => minutes(k.mean_minutes_to_recover)],
  ["Gap, p95", "Of gaps that are over", (k) => minutes(k.p95_minutes_to_recover)],
  ["In time, 6 h", "Slots read 6 h after their day", (k) => percent(k.timeliness["6"])],
  ["Latency, p95", "From the interval's end to arrival", (k) => seconds(k.latency_seconds.p95)],
  ["Estimated", "Of valid and estimated readings", (k) => percent(k.estimated_share)],
];

/** The panel of key figures; nothing is expected before the first reading. */
export function createKpiPanel() {
  function showKpis(kpis) {
    byId("kpi-panel").hidden = kpis.expected === 0;
    reconcile(byId("kpis"), FIGURES, {
      key: ([name]) => name,
      create: ([name, about]) =>
        h("div", { title: about }, h("dt", null, name), h("dd", null, "–")),
      update(row, [, , write]) {
        setText(row.children[1], write(kpis));
      },
    });
  }

  async function refresh() {
    const kpis = await getJson("/api/kpi");
    return () => showKpis(kpis);
  }

  return { refresh };
}
