/** One meter: a sheet over the page with its account, its consumption and its gaps. */
import { drawSeries } from "./charts.js";
import { byId, getJson, h, reconcile, setAttribute, setText } from "./dom.js";
import {
  formatCount,
  formatInstant,
  formatKwh,
  formatPercent,
  formatSeconds,
  formatShortInstant,
  visibleText,
} from "./format.js";
import { lengthOf } from "./list_panels.js";
import { showState, stepByKey } from "./parts.js";
import { showMeterFindings } from "./validation_panel.js";

const SPANS = [
  { label: "4 weeks", query: "step=hour&days=28" },
  { label: "12 weeks", query: "step=hour&days=84" },
  { label: "A year", query: "step=day&days=366" },
];
const CHART_PX = 220;
const HINT = matchMedia("(pointer: coarse)").matches
  ? "Tap the chart to read a point."
  : "Point at the chart, or use ← →.";

/** Closes the sheet when it is open. */
export function closeMeter() {
  byId("meter").close();
}

/** The sheet. `open` shows a meter; `refresh` reads it anew while it is open. */
export function createMeterSheet({ onClose }) {
  const dialog = byId("meter");
  const view = { meterId: null, span: SPANS[0], detail: null, cursor: null, msAt: null };

  function open(meterId) {
    if (dialog.open && view.meterId === meterId) return;
    view.meterId = meterId;
    view.detail = null;
    view.cursor = null;
    setText(byId("meter-id"), visibleText(meterId));
    byId("meter-body").classList.add("waiting");
    setText(byId("meter-message"), "Reading its history…");
    if (!dialog.open) dialog.showModal();
    dialog.querySelector(".sheet").scrollTop = 0;
    refreshNow();
  }

  function refreshNow() {
    return refresh().then((draw) => draw()).catch(tell);
  }

  async function refresh() {
    if (!dialog.open) return () => {};
    const { meterId, span } = view;
    let detail;
    try {
      detail = await getJson(`/api/meters/${encodeURIComponent(meterId)}?${span.query}`);
    } catch (error) {
      if (error.status !== 404) throw error;
      return () => tell(new Error("No table knows this meter. Its id may have changed since."));
    }
    return () => {
      if (meterId !== view.meterId || span !== view.span) return;
      view.detail = detail;
      byId("meter-body").classList.remove("waiting");
      setText(byId("meter-message"), "");
      show();
    };
  }

  function tell(error) {
    setText(byId("meter-message"), error.message);
  }

  function show() {
    const { meter, gaps, readings, validation } = view.detail;
    const facts = [
      ["Status", meter.status],
      ["Complete", formatPercent(meter.completeness_percent, 3)],
      ["Readings", formatCount(meter.readings)],
      ["Missing", formatCount(meter.missing_intervals)],
      [
        "Gaps",
        `${formatCount(meter.gaps)}${meter.open_gaps > 0 ? `, ${meter.open_gaps} open` : ""}`,
      ],
      ["Late", formatCount(meter.late)],
      ["Too late", formatCount(meter.too_late)],
      ["Rejected", formatCount(meter.rejected)],
      ["Sent again", formatCount(meter.identical)],
      ["Conflicting", formatCount(meter.conflicting)],
      ["First", formatInstant(meter.first_at)],
      ["Last", formatInstant(meter.last_at)],
    ];
    reconcile(byId("meter-facts"), facts, {
      key: ([name]) => name,
      create: ([name]) => h("div", null, h("dt", null, name), h("dd")),
      update: (fact, [, value]) => setText(fact.lastChild, value),
    });
    showGaps(gaps);
    showMeterFindings(validation);
    reconcile(byId("meter-readings"), readings, {
      key: (each) => `${each.timestamp} ${each.status}`,
      create: (each) =>
        h(
          "tr",
          null,
          h("td", null, formatShortInstant(each.timestamp)),
          h("td", { class: "n" }, formatKwh(each.consumption_kwh)),
          h("td", null, statusText(each)),
        ),
    });
    redraw();
  }

  function showGaps(gaps) {
    byId("meter-gaps-empty").hidden = gaps.length > 0;
    reconcile(byId("meter-gaps"), gaps, {
      key: ({ gap_id: id, partition }) => `${id} ${partition}`,
      create: () =>
        h(
          "tr",
          null,
          h("td"),
          h("td"),
          h("td"),
          h("td", { class: "n" }),
          h("td", { class: "n" }),
          h("td", { class: "n" }),
        ),
      update(row, gap) {
        const [state, from, to, length, missing, unusable] = row.children;
        showState(state, gap);
        setText(from, formatInstant(gap.missing_from));
        setText(to, gapEnd(gap));
        setText(length, lengthOf(gap));
        setText(missing, formatCount(gap.known_intervals));
        setText(unusable, formatCount(gap.rejected_intervals));
      },
    });
  }

  function redraw() {
    const { detail, cursor } = view;
    if (detail === null || !dialog.open) return;
    const svg = byId("meter-chart");
    const widthPx = Math.floor(svg.parentElement.clientWidth);
    const { series, gaps, validation } = detail;
    const drawn = { series, gaps, findings: validation, cursor };
    view.msAt = drawSeries(svg, { ...drawn, widthPx, heightPx: CHART_PX });
    const step = series.step === "day" ? "day" : "hour";
    setText(byId("h-chart"), `Consumption, kWh a ${step}`);
    setAttribute(svg, "aria-valuemax", Math.max(0, series.points.length - 1));
    const point = series.points[cursor];
    const readings = point?.readings === 1 ? "1 reading" : `${point?.readings} readings`;
    const text = point === undefined
      ? HINT
      : `${formatInstant(point.at)}: ${formatKwh(point.kwh)} kWh in ${readings}`;
    setText(byId("meter-readout"), series.points.length === 0 ? "No readings in this time." : text);
    if (point === undefined) return;
    setAttribute(svg, "aria-valuenow", cursor);
    setAttribute(svg, "aria-valuetext", text);
  }

  function moveTo(index) {
    view.cursor = index;
    redraw();
  }

  function pointAt(event) {
    const points = view.detail?.series.points ?? [];
    if (points.length === 0) return null;
    const svg = byId("meter-chart");
    const ms = view.msAt(event.clientX - svg.getBoundingClientRect().left);
    const after = points.findIndex(({ at }) => Date.parse(at) > ms);
    return after < 0 ? points.length - 1 : Math.max(0, after - 1);
  }

  const chart = byId("meter-chart");
  chart.addEventListener("pointermove", (event) => moveTo(pointAt(event)));
  chart.addEventListener("pointerleave", () => moveTo(null));
  chart.addEventListener("keydown", (event) => {
    const to = stepByKey(event.key, view.cursor, (view.detail?.series.points.length ?? 0) - 1);
    if (to === null) return;
    moveTo(to);
    event.preventDefault();
  });

  byId("meter-spans").append(...SPANS.map((span) =>
    h("button", {
      type: "button",
      "aria-pressed": span === view.span,
      click(event) {
        view.span = span;
        view.cursor = null;
        for (const button of event.target.parentElement.children) {
          setAttribute(button, "aria-pressed", button === event.target);
        }
        refreshNow();
      },
    }, span.label)
  ));
  byId("meter-close").addEventListener("click", closeMeter);
  dialog.addEventListener("click", (event) => event.target === dialog && closeMeter());
  dialog.addEventListener("close", onClose);

  return { open, refresh, redraw };
}

function statusText({ status, delay_seconds: delay, flags }) {
  const words = [status === "LATE" ? `late by ${formatSeconds(delay)}` : "on time"];
  for (const flag of flags) words.push(visibleText(flag));
  return words.join(", ");
}

function gapEnd(gap) {
  if (gap.state === "OPEN") return "still open";
  return gap.silence === "silent" ? "still silent" : formatInstant(gap.missing_to);
}
