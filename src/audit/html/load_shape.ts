import { type LoadShape, SLOTS } from "../report_notes.ts";
import { escaped } from "./markup.ts";

const [WIDTH, HEIGHT] = [960, 260];
const [LEFT, RIGHT, TOP, BOTTOM] = [52, 24, 14, 30];
const STEPS = [1, 2, 2.5, 5, 10];
const LINES_MAX = 5;

/** The load shape as a picture: weekdays as a line, weekends as a broken one. */
export function loadShapeSvg({ sumsKw, counts }: LoadShape): string {
  const means = Array.from(sumsKw, (sum, n) => counts[n] === 0 ? NaN : sum / counts[n]);
  const known = means.filter((mean) => !Number.isNaN(mean));
  if (known.length === 0) return "<p>No series has intervals of an hour or less.</p>";
  const most = Math.max(...known);
  const step = stepOf(most / LINES_MAX);
  const top = Math.max(step, Math.ceil(most / step) * step);
  const x = (slot: number) => LEFT + slot / SLOTS * (WIDTH - LEFT - RIGHT);
  const y = (kw: number) => HEIGHT - BOTTOM - kw / top * (HEIGHT - TOP - BOTTOM);
  const path = (from: number) =>
    means.slice(from, from + SLOTS).map((kw, slot) =>
      Number.isNaN(kw) ? "" : `${round(x(slot + 0.5))},${round(y(kw))}`
    ).filter((point) => point !== "").join(" ");
  const grid: string[] = [];
  for (let kw = 0; kw <= top + step / 2; kw += step) {
    const at = round(y(kw));
    grid.push(
      `<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${at}" y2="${at}"/>` +
        `<text x="${LEFT - 8}" y="${at + 4}" text-anchor="end">${escaped(labelOf(kw))}</text>`,
    );
  }
  for (let hour = 0; hour <= 24; hour += 3) {
    const text = `${String(hour).padStart(2, "0")}:00`;
    grid.push(
      `<text x="${round(x(hour * 2))}" y="${HEIGHT - 8}" text-anchor="middle">${text}</text>`,
    );
  }
  return `<div class="legend"><span><b style="color:var(--ok)">—</b> weekdays</span>` +
    `<span><b style="color:var(--some)">- -</b> Saturdays and Sundays</span></div>` +
    `<div class="scroll"><svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" style="min-width:520px" ` +
    `aria-label="Mean power by time of day, in kW, up to ${escaped(labelOf(most))}">` +
    `${grid.join("")}<polyline class="week" points="${path(0)}"/>` +
    `<polyline class="weekend" points="${path(SLOTS)}"/></svg></div>`;
}

const round = (number: number) => Math.round(number * 10) / 10;

/** The least of 1, 2, 2.5 and 5 times a power of ten that is so much. */
function stepOf(least: number): number {
  if (!(least > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(least));
  return power * STEPS.find((step) => step * power >= least)!;
}

const labelOf = (kw: number) => String(Number(kw.toPrecision(3)));
