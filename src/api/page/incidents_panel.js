/** Shared outages: one line for all the gaps that start together. Not shown while there are none. */
import { byId, getJson, h, reconcile, setAttribute, setText } from "./dom.js";
import { formatCount, formatSeconds, formatShortInstant, visibleText } from "./format.js";
import { createPager, quietly, showState } from "./parts.js";

const ROWS = 50;

/** Which sign stands for a state: those of gaps are known. */
const SIGNS = { OPEN: "OPEN", CLOSED: "CLOSED", WITHDRAWN: "FILLED" };

/** How long an incident lasted; null: it goes on. */
export function incidentSeconds({ from, to }) {
  return to === null ? null : (Date.parse(to) - Date.parse(from)) / 1000;
}

/** The incidents, the latest first; those that were withdrawn come last. */
export function createIncidentsPanel() {
  const pager = createPager("incidents", { rows: ROWS, onPage: () => quietly(refresh) });

  function showIncidents({ incidents, more, states }) {
    const stand = states.OPEN + states.CLOSED;
    byId("incidents-panel").hidden = stand + states.WITHDRAWN === 0;
    const counts = [
      states.OPEN === 0
        ? formatCount(stand)
        : `${formatCount(states.OPEN)} open of ${formatCount(stand)}`,
      ...(states.WITHDRAWN === 0 ? [] : [`${formatCount(states.WITHDRAWN)} withdrawn`]),
    ];
    setText(byId("incidents-count"), counts.join(", "));
    pager.show(incidents.length, more);
    reconcile(byId("incidents"), incidents, {
      key: ({ incident_id: id }) => id,
      create: (incident) =>
        h(
          "tr",
          null,
          h("td"),
          h("td", { class: "mono" }, visibleText(incident.group_id)),
          h("td", null, formatShortInstant(incident.from)),
          h("td", { class: "n" }),
          h("td", { class: "n" }),
        ),
      update(row, incident) {
        const { state, meters, expected, needed, part_of: whole } = incident;
        showState(row.children[0], {
          state: SIGNS[state],
          silence: state === "WITHDRAWN" ? "withdrawn" : null,
        });
        const seconds = incidentSeconds(incident);
        const lasted = seconds === null ? "goes on" : formatSeconds(seconds);
        setText(row.children[3], state === "WITHDRAWN" ? "–" : lasted);
        setText(row.children[4], `${formatCount(meters)} of ${formatCount(expected)}`);
        const part = whole === null ? "" : `, part of ${whole}`;
        setAttribute(row, "title", `${formatCount(needed)} would be more than chance${part}`);
      },
    });
  }

  async function refresh() {
    const { offset } = pager;
    const answer = await getJson(`/api/incidents?limit=${ROWS}&offset=${offset}`);
    return () => offset === pager.offset && showIncidents(answer);
  }

  return { refresh };
}
