/** Small parts that several panels are made of. */
import { byId, h, icon, setAttribute, setText } from "./dom.js";
import { visibleText } from "./format.js";

/** A meter's id, which opens the meter. */
export function meterLink(meterId) {
  const text = visibleText(meterId);
  const click = () => location.hash = `meter=${encodeURIComponent(meterId)}`;
  return h("button", { type: "button", class: "meter-link mono", title: text, click }, text);
}

/** A gap's state by sign and word. */
export function showState(cell, { state, silence }) {
  const word = silence ?? state.toLowerCase();
  if (cell.dataset.state === word) return;
  cell.dataset.state = word;
  cell.replaceChildren(
    h(
      "span",
      { class: "gap-state" },
      icon(state.toLowerCase()),
      word.charAt(0).toUpperCase() + word.slice(1),
    ),
  );
}

/** How a meter stands, unless all is well with it. */
export function showStanding(place, status) {
  setAttribute(place, "data-status", status);
  setText(place, status === "healthy" ? "" : status);
}

let nothingRead = true;

/** Told of every status: while nothing was read, no list may say that all is well. */
export function noteStatus({ ledger }) {
  nothingRead = ledger === null || ledger.total.raw === 0;
}

/** What stands in a list's place while it has no rows. */
export function showEmpty(id, rows, text) {
  const empty = byId(`${id}-empty`);
  empty.hidden = rows.length > 0;
  setText(empty, nothingRead ? "Nothing is read yet." : text);
}

/** After a click: what was read is drawn. The next round of lists tells of an error, if it lasts. */
export function quietly(refresh) {
  return refresh().then((draw) => draw()).catch(() => {});
}

/**
 * Leads through a list page by page. `onPage` is told that another page is wanted, from `offset` on;
 * `show` is given the rows that came, and whether there are more.
 */
export function createPager(id, { rows, onPage }) {
  const view = { offset: 0 };
  const turn = (by) => {
    view.offset = Math.max(0, view.offset + by);
    onPage();
  };
  const names = {
    late: "readings",
    incidents: "outages",
    rejected: "records",
    validation: "records",
  };
  const of = names[id] ?? "gaps";
  const before = h("button", { type: "button", click: () => turn(-rows) }, "Back");
  const after = h("button", { type: "button", click: () => turn(rows) }, `More ${of}`);
  const place = h("span", { class: "caption" });
  byId(`${id}-pages`).append(before, place, after);
  return {
    get offset() {
      return view.offset;
    },
    reset() {
      view.offset = 0;
    },
    show(count, more) {
      byId(`${id}-pages`).hidden = view.offset === 0 && !more;
      before.disabled = view.offset === 0;
      after.disabled = !more;
      setText(place, `${view.offset + Math.min(1, count)} – ${view.offset + count}`);
    },
  };
}

/** Where the arrow keys, Home and End lead from `at`; null when the key is another. */
export function stepByKey(key, at, last) {
  const from = at ?? last + 1;
  const to = { ArrowLeft: from - 1, ArrowRight: from + 1, Home: 0, End: last }[key];
  return to === undefined || last < 0 ? null : Math.max(0, Math.min(last, to));
}
