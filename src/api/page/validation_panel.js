/** What rules of validation have found: the latest of all, or of one rule; and of one meter. */
import { byId, getJson, h, reconcile, setAttribute, setText } from "./dom.js";
import {
  formatCount,
  formatInstant,
  formatKwh,
  formatSeconds,
  formatShortInstant,
  visibleText,
} from "./format.js";
import { createPager, meterLink, quietly, showEmpty } from "./parts.js";

const ROWS = 50;

/** The records found last, and how many there are of each rule. */
export function createValidationPanel() {
  const view = { rule: null };
  const pager = createPager("validation", { rows: ROWS, onPage: () => quietly(refresh) });

  async function refresh() {
    const { rule } = view;
    const { offset } = pager;
    const filter = rule === null ? "" : `&rule=${encodeURIComponent(rule)}`;
    const answer = await getJson(`/api/validation?limit=${ROWS}&offset=${offset}${filter}`);
    return () => rule === view.rule && offset === pager.offset && show(answer);
  }

  function show({ validation, rules, more }) {
    pager.show(validation.length, more);
    const all = rules.reduce((sum, { count }) => sum + count, 0);
    const most = rules.reduce((max, { count }) => Math.max(max, count), 1);
    setText(byId("validation-count"), formatCount(all));
    byId("rules").hidden = rules.length === 0;
    reconcile(byId("rules"), rules, {
      key: (each) => each.rule,
      create: (each) =>
        h(
          "button",
          { type: "button", click: () => choose(view.rule === each.rule ? null : each.rule) },
          h("span", { class: "reason-name" }, visibleText(each.rule)),
          h("span", { class: "reason-bar", "aria-hidden": "true" }, h("i")),
          h("span", { class: "reason-count" }),
        ),
      update(button, each) {
        setAttribute(button, "aria-pressed", view.rule === each.rule);
        button.children[1].firstChild.style.setProperty("--share", `${(each.count / most) * 100}%`);
        setText(button.children[2], formatCount(each.count));
      },
    });
    reconcile(byId("validation"), validation, {
      key: (each) => `${each.partition} ${each.meter_id} ${each.rule} ${each.from}`,
      create: (each) =>
        h(
          "tr",
          null,
          h("td", null, visibleText(each.rule)),
          h("td", null, meterLink(each.meter_id)),
          h("td", null, formatShortInstant(each.from)),
          h("td", { class: "n" }),
        ),
      update(row, each) {
        setText(row.children[3], lengthOf(each));
        setAttribute(row, "title", describe(each));
      },
    });
    showEmpty("validation", validation, "No rule has found anything.");
  }

  function choose(rule) {
    view.rule = rule;
    pager.reset();
    return quietly(refresh);
  }

  return { refresh };
}

/** Fills the list of one meter's records. */
export function showMeterFindings(findings) {
  byId("meter-validation-empty").hidden = findings.length > 0;
  reconcile(byId("meter-validation"), findings, {
    key: (each) => `${each.partition} ${each.rule} ${each.from}`,
    create: () =>
      h("tr", null, h("td"), h("td"), h("td"), h("td", { class: "n" }), h("td", { class: "n" })),
    update(row, each) {
      const [rule, from, to, value, limit] = row.children;
      setText(rule, visibleText(each.rule));
      setText(from, formatInstant(each.from));
      setText(to, formatInstant(each.to));
      setText(value, formatKwh(each.value));
      setText(limit, each.limit === null ? "" : formatKwh(each.limit));
      setAttribute(row, "title", describe(each));
    },
  });
}

function lengthOf({ from, to }) {
  return formatSeconds((Date.parse(to) - Date.parse(from)) / 1000);
}

/** A record in words: what it was held against, and what the rule itself says. */
function describe({ severity, slots, value, limit, detail }) {
  const held = limit === null ? "" : `, held against ${formatKwh(limit)} kWh`;
  const said = detail === "" ? "" : `; ${visibleText(detail)}`;
  const length = slots === 1 ? "1 reading" : `${formatCount(slots)} readings`;
  return `${severity === "error" ? "error" : "warning"}: ${length}, ${
    formatKwh(value)
  } kWh${held}${said}`;
}
