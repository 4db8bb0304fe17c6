/** Open gaps, latest gaps, late readings, and what was rejected. */
import { byId, getJson, h, icon, reconcile, setAttribute, setText } from "./dom.js";
import {
  formatCount,
  formatDays,
  formatSeconds,
  formatShortInstant,
  visibleText,
} from "./format.js";
import { createPager, meterLink, quietly, showEmpty, showState } from "./parts.js";

const ROWS = 50;

/** The gaps still open, the longest first. */
export function createOpenPanel() {
  const pager = createPager("open", { rows: ROWS, onPage: () => quietly(refresh) });

  function showOpen({ gaps, more, states }) {
    setText(byId("open-count"), formatCount(states.OPEN.gaps));
    pager.show(gaps.length, more);
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
      "No gap is open. One opens when an expected reading does not come.",
    );
  }

  async function refresh() {
    const { offset } = pager;
    const page = `limit=${ROWS}&offset=${offset}`;
    const answer = await getJson(`/api/gaps?state=OPEN&sort=longest&${page}`);
    return () => offset === pager.offset && showOpen(answer);
  }

  return { refresh };
}

/** How long a gap is; of one that late readings filled, how many intervals it once was. */
export function lengthOf(gap) {
  if (gap.state !== "FILLED") return formatSeconds(gap.known_minutes * 60);
  const filled = gap.filled_intervals ?? null;
  if (filled === null) return "all filled";
  return filled === 1 ? "1 interval" : `${formatCount(filled)} intervals`;
}

/** The gaps found last, or those of chosen days. `onAllDays` is told when the days are dropped. */
export function createGapsPanel({ onAllDays }) {
  const view = { day: null };

  const pager = createPager("gaps", { rows: ROWS, onPage: () => quietly(refreshGaps) });

  async function refreshGaps() {
    const { day } = view;
    const { offset } = pager;
    const span = day === null
      ? ""
      : `&from=${new Date(day.fromMs).toISOString()}&to=${new Date(day.toMs).toISOString()}`;
    const answer = await getJson(`/api/gaps?limit=${ROWS}&offset=${offset}${span}`);
    return () => day === view.day && offset === pager.offset && showGaps(answer);
  }

  function showGaps({ gaps, states, more }) {
    const { day } = view;
    const all = Object.values(states).reduce((sum, state) => sum + state.gaps, 0);
    const known = pager.offset + gaps.length;
    setText(byId("gaps-count"), day === null ? formatCount(all) : `${known}${more ? "+" : ""}`);
    setText(byId("h-gaps"), day === null ? "Latest gaps" : "Gaps of the day");
    pager.show(gaps.length, more);
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
        showState(row.children[0], gap);
        setText(row.children[2], formatShortInstant(gap.missing_from));
        setText(row.children[3], lengthOf(gap));
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

  function showDay(cell) {
    view.day = cell;
    pager.reset();
    const button = byId("gaps-day");
    button.hidden = cell === null;
    if (cell !== null) {
      const days = formatDays(cell.fromMs, cell.toMs);
      button.replaceChildren(icon("cross"), days);
      setAttribute(button, "aria-label", `Show all days again, not ${days}`);
    }
    return quietly(refreshGaps);
  }

  byId("gaps-day").addEventListener("click", onAllDays);
  return { refresh: refreshGaps, showDay };
}

/** How late readings were, and the last of them. */
export function createLatePanel() {
  const view = { late: "TOO_LATE" };

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

  const pager = createPager("late", { rows: ROWS, onPage: () => quietly(refreshLate) });

  async function refreshLate() {
    const wanted = view.late;
    const { offset } = pager;
    const answer = await getJson(`/api/late?status=${wanted}&limit=${ROWS}&offset=${offset}`);
    return () => wanted === view.late && offset === pager.offset && showLate(answer);
  }

  function showLate({ late, more }) {
    pager.show(late.length, more);
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
      view.late === "LATE"
        ? "No accepted reading was late."
        : "No reading came too late. Those within the allowed lateness are under Accepted.",
    );
  }

  function chooseLate(status) {
    view.late = status;
    pager.reset();
    setAttribute(byId("late-too-late"), "aria-pressed", status === "TOO_LATE");
    setAttribute(byId("late-accepted"), "aria-pressed", status === "LATE");
    return quietly(refreshLate);
  }

  byId("late-too-late").addEventListener("click", () => chooseLate("TOO_LATE"));
  byId("late-accepted").addEventListener("click", () => chooseLate("LATE"));
  return {
    async refresh() {
      const [delays, draw] = await Promise.all([getJson("/api/delays"), refreshLate()]);
      return () => {
        showDelays(delays);
        draw();
      };
    },
  };
}

/** Why records were not taken, and what they were. */
export function createRejectedPanel() {
  const view = { reason: null };

  const pager = createPager("rejected", { rows: ROWS, onPage: () => quietly(refreshRejected) });

  async function refreshRejected() {
    const { reason } = view;
    const { offset } = pager;
    const filter = reason === null ? "" : `&reason=${reason}`;
    const answer = await getJson(`/api/rejected?limit=${ROWS}&offset=${offset}${filter}`);
    return () => reason === view.reason && offset === pager.offset && showRejected(answer);
  }

  function showRejected({ rejected, reasons, more }) {
    pager.show(rejected.length, more);
    const all = reasons.reduce((sum, { count }) => sum + count, 0);
    const most = reasons.reduce((max, { count }) => Math.max(max, count), 1);
    setText(byId("rejected-count"), formatCount(all));
    byId("reasons").hidden = reasons.length === 0;
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
    pager.reset();
    return quietly(refreshRejected);
  }

  return { refresh: refreshRejected };
}
