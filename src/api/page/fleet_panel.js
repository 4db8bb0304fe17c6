/** Where readings are missing: the fleet's days, and its meters, the silent first, on the same axis. */
import { cellDaysOf, drawFleetStrip, drawLifeline, FLEET_STRIP_PX, fleetCells } from "./charts.js";
import { byId, getJson, h, reconcile, s, setAttribute, setText } from "./dom.js";
import { formatCount, formatDays, formatPercent, formatSeconds } from "./format.js";
import { meterLink, quietly, showStanding, stepByKey } from "./parts.js";

const METERS_STEP = 8;
const METERS_MAX = 96;
const FIND_PAUSE_MS = 250;
/** While readings pour in the meters are counted now and then: older than this it is told. */
const AGE_SHOWN_S = 5;
const DAY_MS = 86_400_000;
const HINT = matchMedia("(pointer: coarse)").matches
  ? "Tap a day to see its gaps."
  : "Point at a day, or use ← →. Enter shows its gaps.";

/** The panel. `onDay` is told of the chosen cell of days, or null. */
export function createFleetPanel({ onDay }) {
  const view = {
    meters: null,
    timeline: null,
    limit: METERS_STEP,
    q: "",
    /** So many days a cell has, by the width of the strip. */
    cellDays: 1,
    cells: [],
    cursor: null,
    day: null,
  };

  async function refresh() {
    const timeline = async () => {
      const known = await getJson(`/api/timeline?cell=${view.cellDays}`);
      const wanted = known.from === null ? 1 : cellDaysOf(known, stripWidthPx());
      if (wanted === known.cell_days) return known;
      view.cellDays = wanted;
      return await getJson(`/api/timeline?cell=${wanted}`);
    };
    const [read, draw] = await Promise.all([timeline(), refreshMeters()]);
    return () => {
      view.timeline = read;
      draw();
    };
  }

  async function refreshMeters() {
    const { q, limit } = view;
    const find = q === "" ? "sort=status" : `sort=id&q=${encodeURIComponent(q)}`;
    const meters = await getJson(`/api/meters?spans=true&limit=${limit}&${find}`);
    return () => {
      if (q === view.q && limit === view.limit) view.meters = meters;
      redraw();
    };
  }

  function redraw() {
    if (view.timeline === null || view.meters === null) return;
    drawStrip();
    drawMeters();
  }

  function stripWidthPx() {
    return Math.floor(byId("strip").parentElement.clientWidth);
  }

  function drawStrip() {
    const svg = byId("strip");
    const { timeline } = view;
    const widthPx = stripWidthPx();
    if (timeline.from === null) {
      view.cells = [];
      svg.setAttribute("height", FLEET_STRIP_PX);
      return setText(byId("day-readout"), "No days yet");
    }
    view.cells = fleetCells(timeline, widthPx);
    const { cells, cursor, day } = view;
    const selected = day === null ? -1 : cells.findIndex((cell) => cell.fromMs === day.fromMs);
    const max = drawFleetStrip(svg, { cells, widthPx, cursor, selected });
    setAttribute(svg, "aria-valuemax", cells.length - 1);
    const days = Math.round((cells[0].toMs - cells[0].fromMs) / DAY_MS);
    const per = days === 1 ? "a day" : `in ${days} days`;
    setText(
      byId("strip-max"),
      max.missing > 0 ? `most ${formatCount(max.missing)} ${per}` : "none",
    );
    showDay();
  }

  function showDay() {
    const cell = view.cells[view.cursor];
    if (cell === undefined) {
      return setText(byId("day-readout"), HINT);
    }
    const missing = missingText(cell);
    const text = `${formatDays(cell.fromMs, cell.toMs)}: ${missing}, ` +
      `${formatCount(cell.tooLate)} too late, ${formatCount(cell.rejected)} rejected`;
    setText(byId("day-readout"), text);
    setAttribute(byId("strip"), "aria-valuenow", view.cursor);
    setAttribute(byId("strip"), "aria-valuetext", text);
  }

  function drawMeters() {
    const { meters, total, fleet_meters: fleetMeters, counted_seconds_ago: age } = view.meters;
    setText(byId("meters-age"), age >= AGE_SHOWN_S ? `counted ${formatSeconds(age)} ago` : "");
    const finding = view.q !== "";
    setText(byId("h-meters"), finding ? `Found ${formatCount(total)}` : "Meters, the silent first");
    reconcile(byId("meters"), meters, {
      key: ({ meter_id: meterId }) => meterId,
      create: createMeterRow,
      update: updateMeterRow,
    });
    const empty = byId("meters-empty");
    empty.hidden = meters.length > 0;
    byId("meters").hidden = meters.length === 0;
    setText(
      empty,
      finding
        ? "No meter's id has this in it. Clear the field to see the silent and the least complete ones."
        : "No meter has reported yet. To replay a file of readings: gridwatch run FILE.csv",
    );
    const more = byId("meters-more");
    more.hidden = meters.length >= total || view.limit >= METERS_MAX;
    setText(more, `Show more of ${formatCount(finding ? total : fleetMeters)}`);
  }

  function createMeterRow({ meter_id: meterId }) {
    return h(
      "li",
      { class: "axis-grid meter-row" },
      h("div", { class: "who" }, meterLink(meterId), h("span", { class: "standing" })),
      h("div", { class: "strip" }, s("svg", { class: "lifeline", role: "img" })),
      h(
        "div",
        { class: "whole" },
        h("span", { class: "share", "aria-hidden": "true" }, h("i")),
        h("span", { class: "share-text" }),
      ),
    );
  }

  function updateMeterRow(row, meter) {
    const [who, strip, whole] = row.children;
    showStanding(who.lastChild, meter.status);
    // A new row is not laid out yet; the strip above it has the same column.
    const widthPx = stripWidthPx();
    const timeline = view.timeline;
    if (timeline.from !== null) {
      const fromMs = Date.parse(timeline.from);
      const toMs = Date.parse(timeline.to);
      drawLifeline(strip.firstChild, { meter, fromMs, toMs, widthPx });
    }
    const gaps = meter.gaps === 1 ? "1 gap" : `${formatCount(meter.gaps)} gaps`;
    const missing = `${formatCount(meter.missing_intervals)} missing`;
    setAttribute(strip.firstChild, "aria-label", `${gaps}, ${missing}, ${meter.open_gaps} open`);
    setAttribute(whole, "title", `${formatCount(meter.readings)} readings, ${missing}`);
    whole.firstChild.style.setProperty("--share", `${meter.completeness_percent ?? 0}%`);
    setText(whole.lastChild, formatPercent(meter.completeness_percent));
  }

  function chooseDay(cell) {
    view.day = cell;
    if (view.cells.length > 0) drawStrip();
    onDay(cell);
  }

  const strip = byId("strip");
  const moveTo = (index) => {
    view.cursor = index;
    if (view.cells.length > 0) drawStrip();
  };
  strip.addEventListener("pointermove", (event) => moveTo(cellAt(event)));
  strip.addEventListener("pointerleave", () => moveTo(null));
  strip.addEventListener("click", (event) => {
    moveTo(cellAt(event));
    chooseDay(view.cells[view.cursor] ?? null);
  });
  strip.addEventListener("keydown", (event) => {
    const to = stepByKey(event.key, view.cursor, view.cells.length - 1);
    if (to !== null) moveTo(to);
    else if (event.key === "Enter" && view.cells[view.cursor]) chooseDay(view.cells[view.cursor]);
    else if (event.key === "Escape" && view.day !== null) chooseDay(null);
    else return;
    event.preventDefault();
  });

  function cellAt(event) {
    const box = strip.getBoundingClientRect();
    const ms = view.cells[0].fromMs +
      ((event.clientX - box.left) / box.width) * (view.cells.at(-1).toMs - view.cells[0].fromMs);
    return Math.max(0, view.cells.findIndex((cell) => ms < cell.toMs));
  }

  let findTimer = null;
  byId("find").addEventListener("input", (event) => {
    clearTimeout(findTimer);
    findTimer = setTimeout(() => {
      view.q = event.target.value.trim();
      view.limit = METERS_STEP;
      quietly(refreshMeters);
    }, FIND_PAUSE_MS);
  });
  byId("meters-more").addEventListener("click", () => {
    view.limit = Math.min(METERS_MAX, view.limit + 2 * METERS_STEP);
    quietly(refreshMeters);
  });

  return { refresh, redraw, showAllDays: () => chooseDay(null) };
}

/** While the strip's width has just changed, the meters of its new cells are not counted yet. */
function missingText({ missing, meters }) {
  if (missing === 0) return "nothing missing";
  if (meters === null) return `${formatCount(missing)} missing`;
  return `${formatCount(missing)} missing in ${formatCount(meters)} ${
    meters === 1 ? "meter" : "meters"
  }`;
}
