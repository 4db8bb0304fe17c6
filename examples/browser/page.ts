/** Shows the gaps in a file that the reader of the page picks. Nothing leaves the page. */
/// <reference lib="dom" />
import { createJudge, type GapMessage } from "@gridwatch/gridwatch";

const input = document.querySelector<HTMLInputElement>("#readings")!;
const summary = document.querySelector("#summary")!;
const table = document.querySelector("#gaps")!;

input.addEventListener("change", async () => {
  const text = await input.files?.[0]?.text() ?? "";
  const judge = createJudge({ intervalMinutes: 30, scope: "meter" });
  for (const line of text.split("\n")) if (line !== "") judge.record(line);
  const latest = new Map<string, GapMessage>();
  for (const gap of judge.take().gaps) latest.set(gap.gap_id, gap);
  const { ok, late, rejected, duplicate } = judge.ledger;
  summary.textContent = `${
    ok + late
  } readings accepted, ${duplicate} repeated, ${rejected} rejected, ${latest.size} gaps`;
  table.replaceChildren(...[...latest.values()].map(rowOf));
});

function rowOf(gap: GapMessage): HTMLTableRowElement {
  const row = document.createElement("tr");
  const { meter_id, missing_from, missing_to, missing_intervals, state } = gap;
  for (const value of [meter_id, missing_from, missing_to, missing_intervals, state]) {
    row.insertCell().textContent = String(value);
  }
  return row;
}
