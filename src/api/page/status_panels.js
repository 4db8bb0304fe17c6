/** State, replay, completeness and ledger: all that a status says. */
import { byId, h, icon, reconcile, setAttribute, setText } from "./dom.js";
import { formatCount, formatInstant, formatPercent, formatSeconds, visibleText } from "./format.js";

const STATES = {
  starting: ["wait", "Starting"],
  running: ["play", "Running"],
  finished: ["check", "Finished"],
  stopped: ["stop", "Stopped"],
  failed: ["cross", "Failed"],
  /** Of nothing that is shown it is known whether it still holds. */
  away: ["alert", "No answer"],
  stalled: ["alert", "Stalled"],
};

const TERMS = [
  { name: "ok", label: "On time", table: "validated_ok" },
  { name: "late", label: "Late, accepted", table: "validated_late" },
  { name: "too_late", label: "Too late", table: "late_events" },
  { name: "duplicate", label: "Duplicate", table: "duplicate" },
  { name: "rejected", label: "Rejected", table: "rejected" },
  { name: "tick", label: "Ticks", table: null },
];
/** Ticks are no readings: of the bar, which is of readings, they would take the most. */
const PARTS = TERMS.filter(({ table }) => table !== null);

/** Shows a state in the badge: one of a status, or `away`. */
export function showState(state) {
  const badge = byId("state");
  if (badge.dataset.state === state) return;
  const [symbol, text] = STATES[state];
  badge.dataset.state = state;
  byId("state-icon").replaceChildren(icon(symbol));
  setText(byId("state-text"), text);
}

/** Draws what a status knows by itself: the state, and how far the replay is. */
export function showProgress(status) {
  showState(status.state);
  setText(byId("inputs"), visibleText(status.inputs));
  setText(byId("version"), status.version);
  showReplay(status);
}

/** Draws what a status has of the store: completeness and ledger. */
export function showFigures(status) {
  showFleet(status);
  showLedger(status);
}

function showReplay(status) {
  setText(byId("event-time"), formatInstant(status.event_time));
  const total = status.rows_total;
  // Where no replay runs in this process, what the store holds is told instead.
  const stored = total === null && status.rows_read === 0 ? status.ledger?.total : undefined;
  const rows = stored === undefined ? status.rows_read : stored.raw - stored.tick;
  setText(byId("rows-read"), formatCount(rows));
  const isDatabase = status.source === "database";
  setText(byId("h-replay"), isDatabase ? "Database" : "Replay");
  byId("track").hidden = isDatabase;
  const unknown = isDatabase ? "readings in the tables" : "rows";
  const known = total === null ? unknown : `of ${formatCount(total)} rows`;
  setText(byId("rows-total"), stored === undefined ? known : "records in the store");
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
    // Who only serves a store did not play what is in it.
    const ran = status.state !== "starting" && status.rows_read > 0 && total !== null;
    setText(byId("left"), ran ? `took ${formatSeconds(took)}` : "");
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
  showCauses(fleet);
}

/** What the completeness of all is made of, once there are silent meters. */
function showCauses(fleet) {
  const silent = fleet?.silent_meters ?? 0;
  byId("causes").hidden = silent === 0;
  if (silent === 0) return;
  const { retired, unusable } = fleet.meters_by_status;
  const reporting = fleet.meters - silent - retired - unusable;
  setText(byId("reporting"), formatPercent(fleet.completeness_reporting_percent, 3));
  const meters = reporting === 1 ? "meter that reports" : "meters that report";
  setText(byId("reporting-meters"), `of the ${formatCount(reporting)} ${meters}`);
  setText(byId("silent"), formatCount(silent));
  const missing = formatCount(fleet.silent_intervals);
  setText(
    byId("silent-missing"),
    `silent ${silent === 1 ? "meter" : "meters"}, ${missing} readings missing so far`,
  );
}

function showLedger({ ledger, fleet }) {
  const total = ledger?.total;
  const differences = ledger?.differences ?? null;
  reconcile(byId("equation"), [{ name: "raw", label: "Raw records" }, ...TERMS], {
    key: ({ name }) => name,
    create: ({ name, label }) =>
      h(
        "div",
        { class: `term term-${name}` },
        h("p", { class: "term-label", title: name === "tick" ? TICKS : null }, chipOf(name), label),
        h("p", { class: "term-count" }, "–"),
        h("p", { class: "term-check caption" }, " "),
      ),
    update(term, { name, table }) {
      setText(term.children[1], formatCount(total?.[name]));
      const check = term.children[2];
      if (name === "raw") return setText(check, "each counted once");
      if (table === null) return setText(check, "tell the time, leave no row");
      const off = offOf(differences, name);
      const repeats = name === "duplicate" && off?.sum === 0 ? repeatsText(fleet) : null;
      setText(check, repeats ?? tablesText(off));
      setAttribute(check, "data-off", off === null || off.sum === 0 ? null : "true");
    },
  });
  const readings = (total?.raw ?? 0) - (total?.tick ?? 0);
  reconcile(byId("parts"), PARTS.filter(({ name }) => (total?.[name] ?? 0) > 0), {
    key: ({ name }) => name,
    create: ({ name }) => h("i", { class: `chip-${name}` }),
    update: (part, { name }) => part.style.setProperty("--part", total[name] / readings),
  });
  showSeal(ledger);
}

const TICKS =
  "A tick says that event time has come so far, though no reading came: by it a silence " +
  "is noticed. It is a record, and no reading.";

/** The colour of a term in the bar; ticks are not in it. */
function chipOf(name) {
  return name === "tick" ? null : h("i", { class: `chip chip-${name}` });
}

function showSeal(ledger) {
  const seal = byId("seal");
  if (ledger === null || (ledger.total.raw === 0 && ledger.balanced !== false)) {
    seal.dataset.seal = "wait";
    setText(seal.querySelector("b"), "Not counted");
    setText(
      byId("seal-detail"),
      ledger === null ? "The store did not answer" : "Nothing is read yet",
    );
    return;
  }
  if (ledger.balanced === false) {
    seal.dataset.seal = "no";
    const worst = Math.abs(ledger.difference) || (offOf(ledger.differences, null)?.sum ?? 0);
    setText(byId("seal-text"), worst > 0 ? `Off by ${formatCount(worst)}` : "Does not balance");
    setText(byId("seal-detail"), "Run gridwatch verify");
    return;
  }
  seal.dataset.seal = ledger.balanced ? "yes" : "wait";
  setText(byId("seal-text"), ledger.balanced ? "Balances" : "Not compared");
  setText(byId("seal-detail"), sealDetail(ledger));
}

/** Of how many records it is known: those that came since the last check are not in it. */
function sealDetail(
  { balanced, total, tables_checked_raw: checked, tables_checked_at: at, not_compared: none },
) {
  if (checked === null) return "The rows are not counted yet";
  if (balanced === null) return `Partition ${none.join(", ")} has no account yet`;
  if (checked === total.raw) return "Nothing lost, tables agree";
  return `As of ${formatCount(checked)} records, ${formatInstant(at)}`;
}

/** How far rows and ledger of a disposition (null: of any) are apart; null: not compared. */
function offOf(differences, name) {
  if (differences === null) return null;
  const off = { sum: 0, missing: 0 };
  for (const { what, ledger, found } of differences) {
    if (name === null ? !TERMS.some((term) => term.name === what) : what !== name) continue;
    off.sum += Math.abs(ledger - found);
    off.missing += Math.max(0, ledger - found);
  }
  return off;
}

/** What the repeats are; null: it is not known, or there are none. */
function repeatsText(fleet) {
  const { identical, conflicting } = fleet?.duplicates ?? { identical: 0, conflicting: 0 };
  if (identical + conflicting === 0) return null;
  return `${formatCount(identical)} identical, ${formatCount(conflicting)} conflicting`;
}

function tablesText(off) {
  if (off === null) return "tables not counted";
  const { sum, missing } = off;
  if (sum === 0) return "tables agree";
  if (missing === 0) return `${formatCount(sum)} too many in the tables`;
  if (missing === sum) return `${formatCount(sum)} not in the tables`;
  return `${formatCount(missing)} not in the tables, ${formatCount(sum - missing)} too many`;
}
