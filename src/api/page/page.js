/**
 * The page: listens to the status, and asks for figures and lists when something changed, at most every
 * two seconds, and only while it is looked at. Those are drawn together, as they came together.
 */
import { byId, getJson, h, icon, setText } from "./dom.js";
import { closeMeter, createMeterSheet } from "./meter.js";
import { createFleetPanel } from "./fleet_panel.js";
import { createKpiPanel } from "./kpi_panel.js";
import { createIncidentsPanel } from "./incidents_panel.js";
import {
  createGapsPanel,
  createLatePanel,
  createOpenPanel,
  createRejectedPanel,
} from "./list_panels.js";
import { noteStatus } from "./parts.js";
import { showFigures, showProgress, showState } from "./status_panels.js";
import { createValidationPanel } from "./validation_panel.js";

const LISTS_PAUSE_MS = 2000;
const RETRY_MS = 5000;
/** The server's answer where its store does not. */
const STORE_AWAY = 503;

const sheet = createMeterSheet({ onClose: () => setHash("") });
const gapsPanel = createGapsPanel({ onAllDays: () => fleetPanel.showAllDays() });
const fleetPanel = createFleetPanel({ onDay: (cell) => gapsPanel.showDay(cell) });
const lists = [
  sheet,
  createKpiPanel(),
  createIncidentsPanel(),
  createOpenPanel(),
  gapsPanel,
  createRejectedPanel(),
  createValidationPanel(),
  createLatePanel(),
  fleetPanel,
];

let lastStatus = null;
let listsTimer = null;
let listsAtMs = -Infinity;
let listsWanted = true;
let listsError = null;
let source = null;
let lostSince = null;
let storeLostSince = null;
/** When the figures were drawn that are shown; null: none were. */
let figuresAt = null;

function onStatus(status) {
  lastStatus = status;
  lostSince = null;
  storeLostSince = status.store.ok ? null : storeLostSince ?? new Date();
  // Of a store that does not answer the status knows nothing: what was shown stays, as of then.
  if (status.store.ok) {
    showProgress(status);
    wantLists();
  }
  showTrouble();
}

/** Lists follow the status: none is asked for while nothing changes. */
function wantLists() {
  listsWanted = true;
  if (listsTimer !== null || document.hidden) return;
  const waitMs = Math.max(0, listsAtMs + LISTS_PAUSE_MS - performance.now());
  listsTimer = setTimeout(refreshLists, waitMs);
}

async function refreshLists() {
  listsWanted = false;
  try {
    // All at once: the store answers between two commits, and each wait for one is dear.
    const [status, ...draws] = await Promise.all([
      getJson("/api/status"),
      ...lists.map((list) => list.refresh()),
    ]);
    noteStatus(status);
    showFigures(status);
    draws.forEach((draw) => draw());
    figuresAt = new Date();
    listsError = null;
  } catch (error) {
    listsError = error.message;
    setTimeout(wantLists, RETRY_MS);
  }
  showTrouble();
  listsAtMs = performance.now();
  listsTimer = null;
  if (listsWanted) wantLists();
}

function listen() {
  source = new EventSource("/api/events");
  source.addEventListener("status", (event) => {
    link = "live";
    onStatus(JSON.parse(event.data));
  });
  source.addEventListener("error", () => {
    lostSince ??= new Date();
    showTrouble();
    // A closed source never tries again by itself: the server refused, or is full.
    if (source.readyState === EventSource.CLOSED) setTimeout(poll, RETRY_MS);
  });
}

/** Without events the status is polled; events are tried again after each answer. */
async function poll() {
  try {
    const status = await getJson("/api/status");
    link = "polling";
    onStatus(status);
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, RETRY_MS);
  } catch (error) {
    // Of the store it says so itself; anything else is no answer at all.
    if (error.status === STORE_AWAY) storeLostSince ??= new Date();
    else lostSince ??= new Date();
    showTrouble();
    setTimeout(poll, RETRY_MS);
  }
}

const LINKS = {
  live: ["plug", "Live"],
  polling: ["wait", "Polling"],
  lost: ["alert", "No connection"],
  away: ["alert", "Store away"],
};

/** How statuses come. */
let link = "polling";

function showLink(name) {
  const [symbol, text] = LINKS[name];
  if (byId("link").dataset.link === name) return;
  byId("link").dataset.link = name;
  byId("link-icon").replaceChildren(icon(symbol));
  setText(byId("link-text"), text);
}

/** Figures that may no longer hold are greyed, with their time; nothing then claims to be live. */
function showTrouble() {
  const away = lostSince ?? storeLostSince;
  const asOf = figuresAt === null
    ? "no figures yet"
    : `figures as of ${figuresAt.toLocaleTimeString()}`;
  document.body.toggleAttribute("data-stale", away !== null);
  byId("as-of").hidden = away === null;
  setText(byId("as-of"), asOf);
  if (away !== null) showState("away");
  else if (lastStatus !== null) showState(lastStatus.state);
  showLink(lostSince !== null ? "lost" : storeLostSince !== null ? "away" : link);
  showNotices();
}

function showNotices() {
  const notices = [];
  if (lostSince !== null) {
    const since = lostSince.toLocaleTimeString();
    notices.push(
      `No connection since ${since}. What is shown is from before; it is being tried again.`,
    );
  } else if (storeLostSince !== null) {
    const since = storeLostSince.toLocaleTimeString();
    notices.push(
      `The store does not answer since ${since}. What is shown is from before. ` +
        "See the log of gridwatch.",
    );
  } else if (listsError !== null) {
    notices.push(`A list could not be read: ${listsError}.`);
  }
  for (const problem of lastStatus?.problems ?? []) {
    notices.push(`The pipeline stands: ${problem}.`);
  }
  if (lastStatus?.state === "failed") {
    notices.push(
      `It failed: ${lastStatus.message ?? "see its log"}. A restart resumes where it was.`,
    );
  }
  const text = notices.join("\n");
  const box = byId("notices");
  if (box.dataset.text === text) return;
  box.dataset.text = text;
  box.replaceChildren(
    ...notices.map((notice) => h("p", { class: "notice" }, icon("alert"), notice)),
  );
}

function setHash(hash) {
  if (location.hash.slice(1) === hash) return;
  // Setting the hash tells followHash by an event, pushState does not.
  if (hash !== "") location.hash = hash;
  else history.pushState(null, "", location.pathname);
}

function followHash() {
  const match = /^#meter=(.+)$/.exec(location.hash);
  if (match === null) return closeMeter();
  let meterId;
  try {
    meterId = decodeURIComponent(match[1]);
  } catch {
    return closeMeter();
  }
  sheet.open(meterId);
}

addEventListener("hashchange", followHash);
addEventListener("popstate", followHash);
document.addEventListener("visibilitychange", () => document.hidden || wantLists());

// Drawings are in pixels: they follow the width of their column.
new ResizeObserver(() => fleetPanel.redraw()).observe(byId("strip").parentElement);
new ResizeObserver(() => sheet.redraw()).observe(byId("meter-chart").parentElement);

listen();
followHash();
