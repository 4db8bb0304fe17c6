/** The drawings. Each fills an <svg> anew at its present width; colours and hatches are page.css. */
import { daysPerCell, formatKwh, timeTicks, valueTicks } from "./format.js";
import { s } from "./dom.js";

const DAY_MS = 86_400_000;
const MARK_PX_MIN = 2;

/** A linear scale of time, held within the drawing. */
export function timeScale(fromMs, toMs, widthPx) {
  const span = Math.max(1, toMs - fromMs);
  return (ms) => Math.max(0, Math.min(1, (ms - fromMs) / span)) * widthPx;
}

/** How many of a timeline's days are one cell at a width. */
export function cellDaysOf({ from, to }, widthPx) {
  return daysPerCell(Math.round((Date.parse(to) - Date.parse(from)) / DAY_MS), widthPx);
}

/**
 * The days of /api/timeline, several in one cell where the width asks for it. How many meters miss
 * readings in a cell is counted where it is asked: one meter may do so on several days.
 */
export function fleetCells(timeline, widthPx) {
  const fromMs = Date.parse(timeline.from);
  const toMs = Date.parse(timeline.to);
  const days = Math.round((toMs - fromMs) / DAY_MS);
  const perCell = cellDaysOf(timeline, widthPx);
  const metersOf = new Map(
    timeline.cells.map((cell) => [Date.parse(cell.from), cell.meters_missing]),
  );
  const isCounted = timeline.cell_days === perCell;
  const cells = [];
  for (let day = 0; day < days; day += perCell) {
    cells.push({
      fromMs: fromMs + day * DAY_MS,
      toMs: fromMs + Math.min(days, day + perCell) * DAY_MS,
      missing: 0,
      meters: isCounted ? metersOf.get(fromMs + day * DAY_MS) ?? 0 : null,
      tooLate: 0,
      rejected: 0,
    });
  }
  for (const each of timeline.days) {
    const cell = cells[Math.floor((Date.parse(each.day) - fromMs) / DAY_MS / perCell)];
    if (cell === undefined) continue;
    cell.missing += each.missing_intervals;
    cell.tooLate += each.too_late;
    cell.rejected += each.rejected;
  }
  return cells;
}

const BAND = { barsTop: 14, barsPx: 58, heatPx: 9, heatGapPx: 5, axisPx: 20 };
const TOO_LATE_Y = BAND.barsTop + BAND.barsPx + 8;
const REJECTED_Y = TOO_LATE_Y + BAND.heatPx + BAND.heatGapPx;
const AXIS_Y = REJECTED_Y + BAND.heatPx + 4;

/** Where the fleet strip's rows are, for their labels. */
export const FLEET_STRIP_PX = AXIS_Y + BAND.axisPx;

/** Missing intervals a day as bars, too late and rejected as heat, one time axis under them. */
export function drawFleetStrip(svg, { cells, widthPx, cursor, selected }) {
  size(svg, widthPx, FLEET_STRIP_PX);
  const fromMs = cells[0].fromMs;
  const toMs = cells[cells.length - 1].toMs;
  const x = timeScale(fromMs, toMs, widthPx);
  const most = (name) => cells.reduce((max, cell) => Math.max(max, cell[name]), 0);
  const max = { missing: most("missing"), tooLate: most("tooLate"), rejected: most("rejected") };
  const base = BAND.barsTop + BAND.barsPx;
  const parts = [];
  for (const [index, kind] of [[selected, "selected"], [cursor, "cursor"]]) {
    const cell = cells[index];
    if (cell === undefined) continue;
    const left = x(cell.fromMs);
    parts.push(rect(left, 0, x(cell.toMs) - left, AXIS_Y, `cell-${kind}`));
  }
  parts.push(s("line", { class: "base", x1: 0, x2: widthPx, y1: base + 0.5, y2: base + 0.5 }));
  for (const [y, name] of [[TOO_LATE_Y, "too-late"], [REJECTED_Y, "rejected"]]) {
    parts.push(rect(0, y, widthPx, BAND.heatPx, `heat-ground heat-${name}-ground`));
  }
  for (const cell of cells) {
    const left = x(cell.fromMs);
    const width = x(cell.toMs) - left;
    const inner = width > 4 ? width - 1 : width;
    if (cell.missing > 0) {
      const height = Math.max(MARK_PX_MIN, (cell.missing / max.missing) * BAND.barsPx);
      parts.push(rect(left, base - height, inner, height, "bar-missing"));
    }
    parts.push(heat(left, TOO_LATE_Y, inner, cell.tooLate / (max.tooLate || 1), "heat-too-late"));
    parts.push(heat(left, REJECTED_Y, inner, cell.rejected / (max.rejected || 1), "heat-rejected"));
  }
  svg.replaceChildren(...parts.filter((part) => part !== null), ...axis(fromMs, toMs, widthPx));
  return max;
}

function heat(x, y, width, share, className) {
  if (share <= 0) return null;
  const cell = rect(x, y, width, BAND.heatPx, className);
  cell.setAttribute("fill-opacity", (0.3 + 0.7 * Math.sqrt(share)).toFixed(2));
  return cell;
}

function axis(fromMs, toMs, widthPx) {
  const x = timeScale(fromMs, toMs, widthPx);
  return timeTicks(fromMs, toMs, widthPx).map(({ ms, label }) => {
    const at = Math.round(x(ms)) + 0.5;
    const nearEnd = widthPx - at < 40;
    return s(
      "g",
      { class: "tick" },
      s("line", { x1: at, x2: at, y1: AXIS_Y, y2: AXIS_Y + 5 }),
      s("text", {
        x: nearEnd ? widthPx : at,
        y: AXIS_Y + 16,
        "text-anchor": nearEnd ? "end" : at < 20 ? "start" : "middle",
      }, label),
    );
  });
}

/** A meter's life on the fleet's axis: a thread for its history, marks for its gaps. */
export function drawLifeline(svg, { meter, fromMs, toMs, widthPx, heightPx = 18 }) {
  size(svg, widthPx, heightPx);
  const x = timeScale(fromMs, toMs, widthPx);
  const middle = heightPx / 2;
  const parts = [];
  if (meter.first_at !== null) {
    const from = x(Date.parse(meter.first_at));
    const to = x(Date.parse(meter.last_at));
    parts.push(rect(from, middle - 1, Math.max(1, to - from), 2, "life"));
  }
  for (const span of meter.spans ?? []) {
    const from = x(Date.parse(span.from));
    const width = Math.max(MARK_PX_MIN, x(Date.parse(span.to)) - from);
    const left = Math.min(from, widthPx - width);
    const state = span.state.toLowerCase();
    parts.push(rect(left, middle - 6, width, 12, "mark-ground"));
    parts.push(rect(left, middle - 6, width, 12, `mark mark-${state}`));
  }
  svg.replaceChildren(...parts);
}

const CHART = { left: 40, right: 8, top: 10, bottom: 24 };

/** A meter's consumption with its gaps shaded, and what rules found marked below. Returns the scale back from pixels to points. */
export function drawSeries(svg, { series, gaps, findings, widthPx, heightPx, cursor }) {
  size(svg, widthPx, heightPx);
  const fromMs = Date.parse(series.from);
  const toMs = Date.parse(series.to);
  const innerPx = widthPx - CHART.left - CHART.right;
  const scale = timeScale(fromMs, toMs, innerPx);
  const x = (ms) => CHART.left + scale(ms);
  const floor = heightPx - CHART.bottom;
  const stepMs = series.step === "day" ? DAY_MS : DAY_MS / 24;
  const points = series.points.map(({ at, kwh }) => ({ ms: Date.parse(at), kwh }));
  const ticks = valueTicks(points.reduce((max, { kwh }) => Math.max(max, kwh), 0));
  const top = ticks[ticks.length - 1];
  const low = Math.min(0, points.reduce((min, { kwh }) => Math.min(min, kwh), 0));
  const y = (kwh) => floor - ((kwh - low) / (top - low)) * (floor - CHART.top);
  const parts = [];
  for (const kwh of ticks) {
    const at = Math.round(y(kwh)) + 0.5;
    parts.push(
      s("line", { class: "rule", x1: CHART.left, x2: widthPx - CHART.right, y1: at, y2: at }),
    );
    parts.push(
      s(
        "text",
        { class: "axis-label", x: CHART.left - 6, y: at + 4, "text-anchor": "end" },
        formatKwh(kwh),
      ),
    );
  }
  for (const { ms, label } of timeTicks(fromMs, toMs, innerPx)) {
    const at = Math.round(x(ms)) + 0.5;
    parts.push(
      s("line", { class: "rule rule-time", x1: at, x2: at, y1: CHART.top, y2: floor + 4 }),
    );
    parts.push(
      s("text", { class: "axis-label", x: at, y: heightPx - 7, "text-anchor": "middle" }, label),
    );
  }
  for (const gap of gaps) {
    const from = Date.parse(gap.missing_from);
    const to = from + gap.known_minutes * 60_000;
    if (to <= fromMs || from >= toMs || gap.state === "FILLED") continue;
    const width = Math.max(MARK_PX_MIN, x(to) - x(from));
    const state = gap.state.toLowerCase();
    parts.push(rect(x(from), CHART.top, width, floor - CHART.top, `shade shade-${state}`));
    parts.push(rect(x(from), floor - 4, width, 4, `mark mark-${state}`));
  }
  for (const found of findings) {
    const [from, to] = [Date.parse(found.from), Date.parse(found.to)];
    if (to <= fromMs || from >= toMs) continue;
    const width = Math.max(MARK_PX_MIN, x(to) - x(from));
    parts.push(rect(x(from), floor + 1, width, 4, "found"));
  }
  const lines = seriesPaths(points, { x, y, stepMs, floorY: y(Math.max(low, 0)) });
  parts.push(
    s("path", { class: "area", d: lines.area }),
    s("path", { class: "line", d: lines.line }),
  );
  if (cursor !== null && points[cursor] !== undefined) {
    const at = x(points[cursor].ms + stepMs / 2);
    parts.push(s("line", { class: "cursor", x1: at, x2: at, y1: CHART.top, y2: floor }));
    parts.push(s("circle", { class: "dot", cx: at, cy: y(points[cursor].kwh), r: 3.5 }));
  }
  svg.replaceChildren(...parts);
  return (px) => fromMs + ((px - CHART.left) / innerPx) * (toMs - fromMs);
}

/** Steps, broken where a point is absent: a line across a gap would be invented. */
function seriesPaths(points, { x, y, stepMs, floorY }) {
  const px = (value) => value.toFixed(1);
  let line = "";
  let area = "";
  let lastMs = null;
  for (const { ms, kwh } of points) {
    const right = `H${px(x(ms + stepMs))}`;
    const level = px(y(kwh));
    if (lastMs !== null && ms - lastMs === stepMs) {
      line += `V${level}${right}`;
      area += `V${level}${right}`;
    } else {
      const left = px(x(ms));
      if (lastMs !== null) area += `V${px(floorY)}Z`;
      line += `M${left} ${level}${right}`;
      area += `M${left} ${px(floorY)}V${level}${right}`;
    }
    lastMs = ms;
  }
  if (lastMs !== null) area += `V${px(floorY)}Z`;
  return { line, area };
}

function rect(x, y, width, height, className) {
  return s("rect", {
    class: className,
    x: x.toFixed(2),
    y: y.toFixed(2),
    width: Math.max(0, width).toFixed(2),
    height: height.toFixed(2),
  });
}

function size(svg, widthPx, heightPx) {
  svg.setAttribute("viewBox", `0 0 ${widthPx} ${heightPx}`);
  svg.setAttribute("width", widthPx);
  svg.setAttribute("height", heightPx);
}
