/** The panels of the first page, each drawn from one answer of the API. */
import { drawFleetStrip, drawLifeline, FLEET_STRIP_PX, fleetCells } from "./charts.js";
import { byId, getJson, h, icon, reconcile, s, setAttribute, setText } from "./dom.js";
import {
  formatCount,
  formatDays,
  formatInstant,
  formatPercent,
  formatSeconds,
  formatShortInstant,
  visibleText,
} from "./format.js";

const METERS_STEP = 8;
const METERS_MAX = 96;
const ROWS = 50;
const FIND_PAUSE_MS = 250;

const STATES = {
  starting: ["wait", "Starting"],
  running: ["play", "Running"],
  finished: ["check", "Finished"],
  stopped: ["stop", "Stopped"],
  failed: ["cross", "Failed"],
};

const TERMS = [
  { name: "ok", label: "On time", table: "validated_ok" },
  { name: "late", label: "Late, accepted", table: "validated_late" },
  { name: "too_late", label: "Too late", table: "late_events" },
  { name: "duplicate", label: "Duplicate", table: "duplicate" },
  { name: "rejected", label: "Rejected", table: "rejected" },
  { name: "tick", label: "Ticks", table: null },
];

/** Draws a status: state, replay, completeness and ledger. */
export function showStatus(status) {
  const [symbol, text] = STATES[status.state];
  const badge = byId("state");
  if (badge.dataset.state !== status.state) {
    badge.dataset.state = status.state;
    byId("state-icon").replaceChildren(icon(symbol));
    setText(byId("state-text"), text);
  }
  setText(byId("inputs"), visibleText(status.inputs));
  setText(byId("version"), status.version);
  showReplay(status);
  showFleet(status);
  showLedger(status);
}

function showReplay(status) {
  setText(byId("event-time"), formatInstant(status.event_time));
  setText(byId("rows-read"), formatCount(status.rows_read));
  const total = status.rows_total;
  setText(byId("rows-total"), total === null ? "rows" : `of ${formatCount(total)} rows`);
  setText(byId("percent"), total === null ? "" : formatPercent(status.percent, 1));
  const track = byId("track");
  setAttribute(track, "data-known", total !== null);
  setAttribute(track, "aria-valuenow", status.percent === null ? null : Math.floor(status.percent));
  byId("track-fill").style.setProperty("--share", `${status.percent ?? 0}%`);
  const took = (Date.parse(status.last_progress_at) - Date.parse(status.started_at)) / 1000;
  const rate = `${formatCount(status.readings_per_second)} readings/s`;
  if (status.state === "running") {
    setText(byId("rate"), rate);
    const left = status.seconds_left;
    setText(byId("left"), left === null ? "" : `${formatSeconds(left)} left`);
  } else {
    setText(byId("rate"), status.message ?? STATES[status.state][1]);
    setText(byId("left"), status.state === "starting" ? "" : `took ${formatSeconds(took)}`);
  }
}

function showFleet(status) {
  const { fleet } = status;
  setText(byId("completeness"), formatPercent(fleet?.completeness_percent, 3));
  setAttribute(byId("gauge"), "data-known", fleet?.completeness_percent != null);
  byId("gauge-fill").style.setProperty("--share", `${fleet?.completeness_percent ?? 0}%`);
  setText(byId("fleet-meters"), formatCount(fleet?.meters));
  setText(byId("fleet-readings"), formatCount(fleet?.readings));
  setText(byId("fleet-missing"), formatCount(fleet?.missing_intervals));
  setText(byId("fleet-open"), formatCount(status.open_gaps));
  setText(byId("open-count"), status.open_gaps === null ? "" : formatCount(status.open_gaps));
}

function showLedger({ ledger }) {
  const total = ledger?.total;
  const differences = ledger?.table_differences;
  reconcile(byId("equation"), [{ name: "raw", label: "Raw records" }, ...TERMS], {
    key: ({ name }) => name,
    create: ({ name, label }) =>
      h(
        "div",
        { class: `term term-${name}` },
        h("p", { class: "term-label" }, h("i", { class: `chip chip-${name}` }), label),
        h("p", { class: "term-count" }, "–"),
        h("p", { class: "term-check caption" }, " "),
      ),
    update(term, { name, table }) {
      setText(term.children[1], formatCount(total?.[name]));
      const check = term.children[2];
      if (name === "raw") return setText(check, "each counted once");
      if (table === null) return setText(check, "leave no row");
      const off = differences?.[table];
      const text = off === undefined
        ? "not counted yet"
        : off === 0
        ? "same in the tables"
        : `${formatCount(Math.abs(off))} ${off > 0 ? "not in" : "too many in"} the tables`;
      setText(check, text);
      setAttribute(check, "data-off", off === undefined || off === 0 ? null : "true");
    },
  });
  const raw = total?.raw ?? 0;
  reconcile(byId("parts"), TERMS.filter(({ name }) => (total?.[name] ?? 0) > 0), {
    key: ({ name }) => name,
    create: ({ name }) => h("i", { class: `chip-${name}` }),
    update: (part, { name }) => part.style.setProperty("--part", total[name] / raw),
  });
  showSeal(ledger);
}

function showSeal(ledger) {
  const seal = byId("seal");
  if (ledger === null || ledger.total.raw === 0) {
    seal.dataset.seal = "wait";
    setText(seal.querySelector("b"), "Not counted");
    setText(
      byId("seal-detail"),
      ledger === null ? "The store did not answer" : "Nothing is read yet",
    );
    return;
  }
  if (ledger.balanced) {
    seal.dataset.seal = "yes";
    setText(byId("seal-text"), "Balances");
    const checked = ledger.table_differences !== null;
    setText(byId("seal-detail"), checked ? "Nothing lost, tables agree" : "Tables not counted yet");
    return;
  }
  seal.dataset.seal = "no";
  const off = Object.values(ledger.table_differences ?? {}).reduce((a, b) => a + Math.abs(b), 0);
  const worst = Math.max(Math.abs(ledger.difference), off);
  setText(byId("seal-text"), worst > 0 ? `Off by ${formatCount(worst)}` : "Does not balance");
  setText(byId("seal-detail"), "Run gridwatch verify");
}

/** The list panels. `refresh` reads them all, one after the other. */
export function createPanels({ openMeter }) {
  const view = {
    meters: null,
    timeline: null,
    limit: METERS_STEP,
    q: "",
    cells: [],
    cursor: null,
    day: null,
    late: "TOO_LATE",
    reason: null,
  };

  function meterLink(meterId) {
    const text = visibleText(meterId);
    const click = () => openMeter(meterId);
    return h("button", { type: "button", class: "meter-link mono", title: text, click }, text);
  }

  async function refresh() {
    await refreshMeters();
    view.timeline = await getJson("/api/timeline");
    redraw();
    showOpen(await getJson(`/api/gaps?state=OPEN&sort=longest&limit=${ROWS}`));
    await refreshGaps();
    showDelays(await getJson("/api/delays"));
    await refreshLate();
    await refreshRejected();
  }

  async function refreshMeters() {
    const { q, limit } = view;
    const find = q === "" ? "sort=worst" : `sort=id&q=${encodeURIComponent(q)}`;
    const meters = await getJson(`/api/meters?spans=true&limit=${limit}&${find}`);
    if (q === view.q && limit === view.limit) view.meters = meters;
  }

  function redraw() {
    if (view.timeline === null || view.meters === null) return;
    drawStrip();
    drawMeters();
  }

  function drawStrip() {
    const svg = byId("strip");
    const { timeline } = view;
    const widthPx = Math.floor(svg.parentElement.clientWidth);
    if (timeline.from === null) {
      view.cells = [];
      svg.setAttribute("height", FLEET_STRIP_PX);
      return setText(byId("day-readout"), "");
    }
    view.cells = fleetCells(timeline, widthPx);
    const { cells, cursor, day } = view;
    const selected = day === null ? -1 : cells.findIndex((cell) => cell.fromMs === day.fromMs);
    const max = drawFleetStrip(svg, { cells, widthPx, cursor, selected });
    setAttribute(svg, "aria-valuemax", cells.length - 1);
    const one = cells[0].toMs - cells[0].fromMs === 86_400_000;
    const per = one
      ? "a day"
      : `per ${Math.round((cells[0].toMs - cells[0].fromMs) / 86_400_000)} days`;
    setText(
      byId("strip-max"),
      max.missing > 0 ? `most ${formatCount(max.missing)} ${per}` : "none",
    );
    showDay();
  }

  function showDay() {
    const cell = view.cells[view.cursor];
    if (cell === undefined) {
      return setText(byId("day-readout"), "Point at a day, or use ← →. Enter shows its gaps.");
    }
    const meters = cell.meters === 1 ? "1 meter" : `${formatCount(cell.meters)} meters`;
    const missing = cell.missing === 0
      ? "nothing missing"
      : `${formatCount(cell.missing)} missing in ${meters}`;
    const text = `${formatDays(cell.fromMs, cell.toMs)}: ${missing}, ` +
      `${formatCount(cell.tooLate)} too late, ${formatCount(cell.rejected)} rejected`;
    setText(byId("day-readout"), text);
    setAttribute(byId("strip"), "aria-valuenow", view.cursor);
    setAttribute(byId("strip"), "aria-valuetext", text);
  }

  function drawMeters() {
    const { meters, total, fleet_meters: fleetMeters } = view.meters;
    const finding = view.q !== "";
    setText(byId("h-meters"), finding ? `Found ${formatCount(total)}` : "Least complete meters");
    reconcile(byId("meters"), meters, {
      key: ({ meter_id: meterId }) => meterId,
      create: createMeterRow,
      update: updateMeterRow,
    });
    const empty = byId("meters-empty");
    empty.hidden = meters.length > 0;
    setText(
      empty,
      finding
        ? "No meter's id has this in it. Clear the field to see the least complete ones."
        : "No meter has reported yet. Start with: gridwatch run FILE.csv",
    );
    const more = byId("meters-more");
    more.hidden = meters.length >= total || view.limit >= METERS_MAX;
    setText(more, `Show more of ${formatCount(finding ? total : fleetMeters)}`);
  }

  function createMeterRow({ meter_id: meterId }) {
    return h(
      "li",
      { class: "axis-grid meter-row" },
      h("div", { class: "who" }, meterLink(meterId)),
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
    const [, strip, whole] = row.children;
    const widthPx = Math.floor(strip.clientWidth);
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

  function showOpen({ gaps, states }) {
    setText(byId("open-count"), formatCount(states.OPEN.gaps));
    reconcile(byId("open"), gaps, {
      key: ({ gap_id: id }) => id,
      create: (gap) =>
        h("tr", null, h("td", null, meterLink(gap.meter_id)), h("td"), h("td", { class: "n" })),
      update(row, gap) {
        setText(row.children[1], formatShortInstant(gap.missing_from));
        setText(row.children[2], formatSeconds(gap.known_minutes * 60));
      },
    });
    showEmpty(
      "open",
      gaps,
      "Every meter reports. A gap opens when an expected reading does not come.",
    );
  }

  async function refreshGaps() {
    const { day } = view;
    const span = day === null
      ? ""
      : `&from=${new Date(day.fromMs).toISOString()}&to=${new Date(day.toMs).toISOString()}`;
    const { gaps, states, more } = await getJson(`/api/gaps?limit=${ROWS}${span}`);
    if (day !== view.day) return;
    const all = Object.values(states).reduce((sum, state) => sum + state.gaps, 0);
    setText(
      byId("gaps-count"),
      day === null ? formatCount(all) : `${gaps.length}${more ? "+" : ""}`,
    );
    setText(byId("h-gaps"), day === null ? "Latest gaps" : "Gaps of the day");
    reconcile(byId("gaps"), gaps, {
      key: ({ gap_id: id, partition }) => `${id} ${partition}`,
      create: (gap) =>
        h(
          "tr",
          null,
          h("td"),
          h("td", null, meterLink(gap.meter_id)),
          h("td"),
          h("td", { class: "n" }),
        ),
      update(row, gap) {
        showState(row.children[0], gap.state);
        setText(row.children[2], formatShortInstant(gap.missing_from));
        setText(
          row.children[3],
          gap.state === "FILLED" ? "0 min" : formatSeconds(gap.known_minutes * 60),
        );
        const unusable = gap.rejected_intervals > 0
          ? `, ${gap.rejected_intervals} with an unusable reading`
          : "";
        setAttribute(row, "title", `${formatCount(gap.missing_intervals)} missing${unusable}`);
      },
    });
    showEmpty(
      "gaps",
      gaps,
      day === null
        ? "No gaps: every expected reading came."
        : "No gap touches this day. Choose another one.",
    );
  }

  function chooseDay(cell) {
    view.day = cell;
    const button = byId("gaps-day");
    button.hidden = cell === null;
    if (cell !== null) {
      button.replaceChildren(icon("cross"), formatDays(cell.fromMs, cell.toMs));
      setAttribute(
        button,
        "aria-label",
        `Show all days again, not ${formatDays(cell.fromMs, cell.toMs)}`,
      );
    }
    drawStrip();
    return quietly(refreshGaps);
  }

  function showDelays({ delays }) {
    const max = delays.reduce((most, each) => Math.max(most, each.late + each.too_late), 1);
    reconcile(byId("delays"), delays, {
      key: ({ up_to_seconds: upTo }) => String(upTo),
      create: ({ up_to_seconds: upTo }) =>
        h(
          "li",
          null,
          h("span", { class: "delay-label" }, upTo === null ? "more" : `≤ ${formatSeconds(upTo)}`),
          h(
            "span",
            { class: "delay-bar" },
            h("i", { class: "chip-late" }),
            h("i", { class: "chip-too_late" }),
          ),
          h("span", { class: "delay-count" }),
        ),
      update(row, { late, too_late: tooLate }) {
        const [accepted, lost] = row.children[1].children;
        accepted.style.setProperty("--share", `${(late / max) * 100}%`);
        lost.style.setProperty("--share", `${(tooLate / max) * 100}%`);
        setText(row.children[2], formatCount(late + tooLate));
        setAttribute(
          row,
          "title",
          `${formatCount(late)} accepted, ${formatCount(tooLate)} too late`,
        );
      },
    });
  }

  async function refreshLate() {
    const wanted = view.late;
    const { late } = await getJson(`/api/late?status=${wanted}&limit=${ROWS}`);
    if (wanted !== view.late) return;
    reconcile(byId("late"), late, {
      key: (each) => `${each.status} ${each.meter_id} ${each.timestamp} ${each.delay_seconds}`,
      create: (each) =>
        h(
          "tr",
          null,
          h("td", null, meterLink(each.meter_id)),
          h("td", null, formatShortInstant(each.timestamp)),
          h("td", { class: "n" }, formatSeconds(each.delay_seconds)),
        ),
    });
    showEmpty(
      "late",
      late,
      wanted === "LATE"
        ? "No accepted reading was late."
        : "No reading came too late. Those within the allowed lateness are under Accepted.",
    );
  }

  function chooseLate(status) {
    view.late = status;
    setAttribute(byId("late-too-late"), "aria-pressed", status === "TOO_LATE");
    setAttribute(byId("late-accepted"), "aria-pressed", status === "LATE");
    return quietly(refreshLate);
  }

  async function refreshRejected() {
    const { reason } = view;
    const filter = reason === null ? "" : `&reason=${reason}`;
    const { rejected, reasons } = await getJson(`/api/rejected?limit=${ROWS}${filter}`);
    if (reason !== view.reason) return;
    const all = reasons.reduce((sum, { count }) => sum + count, 0);
    const most = reasons.reduce((max, { count }) => Math.max(max, count), 1);
    setText(byId("rejected-count"), formatCount(all));
    reconcile(byId("reasons"), reasons, {
      key: (each) => each.reason,
      create: (each) =>
        h(
          "button",
          {
            type: "button",
            click: () => chooseReason(view.reason === each.reason ? null : each.reason),
          },
          h("span", { class: "reason-name" }, each.reason),
          h("span", { class: "reason-bar", "aria-hidden": "true" }, h("i")),
          h("span", { class: "reason-count" }),
        ),
      update(button, each) {
        setAttribute(button, "aria-pressed", view.reason === each.reason);
        button.children[1].firstChild.style.setProperty("--share", `${(each.count / most) * 100}%`);
        setText(button.children[2], formatCount(each.count));
      },
    });
    reconcile(byId("rejected"), rejected, {
      key: ({ partition, offset }) => `${partition} ${offset}`,
      create: createRaw,
    });
    showEmpty("rejected", rejected, "Nothing was rejected: every record was a usable reading.");
  }

  function createRaw(row) {
    const who = row.meter_id === null ? null : meterLink(row.meter_id);
    const where = `partition ${row.partition}, offset ${formatCount(row.offset)}`;
    return h(
      "li",
      null,
      h(
        "p",
        { class: "raw-head" },
        h("b", { class: "reason" }, row.reason),
        who,
        h("span", { class: "caption" }, formatShortInstant(row.timestamp ?? row.at)),
      ),
      h("p", { class: "raw-detail" }, visibleText(row.detail)),
      h(
        "details",
        null,
        h(
          "summary",
          { class: "mono", title: where },
          visibleText(row.raw.slice(0, 200)) || "(empty)",
        ),
        h("pre", { class: "mono" }, row.raw.split("\n").map(visibleText).join("\n")),
        h(
          "p",
          { class: "caption" },
          row.raw_encoding === "utf8" ? where : `${where}, ${row.raw_encoding}`,
        ),
      ),
    );
  }

  function chooseReason(reason) {
    view.reason = reason;
    return quietly(refreshRejected);
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
    const last = view.cells.length - 1;
    const at = view.cursor ?? last + 1;
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: last }[event.key];
    if (to !== undefined) moveTo(Math.max(0, Math.min(last, to)));
    else if (event.key === "Enter" && view.cells[view.cursor]) chooseDay(view.cells[view.cursor]);
    else if (event.key === "Escape") chooseDay(null);
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
      quietly(() => refreshMeters().then(redraw));
    }, FIND_PAUSE_MS);
  });
  byId("meters-more").addEventListener("click", () => {
    view.limit = Math.min(METERS_MAX, view.limit + 2 * METERS_STEP);
    quietly(() => refreshMeters().then(redraw));
  });
  byId("gaps-day").addEventListener("click", () => chooseDay(null));
  byId("late-too-late").addEventListener("click", () => chooseLate("TOO_LATE"));
  byId("late-accepted").addEventListener("click", () => chooseLate("LATE"));

  return { refresh, redraw };
}

/** A gap's state by sign and word. */
export function showState(cell, state) {
  if (cell.dataset.state === state) return;
  cell.dataset.state = state;
  const word = state.charAt(0) + state.slice(1).toLowerCase();
  cell.replaceChildren(h("span", { class: "gap-state" }, icon(state.toLowerCase()), word));
}

function showEmpty(id, rows, text) {
  const empty = byId(`${id}-empty`);
  empty.hidden = rows.length > 0;
  setText(empty, text);
}

/** After a click: the next round of lists tells of an error, if it lasts. */
function quietly(work) {
  return work().catch(() => {});
}
