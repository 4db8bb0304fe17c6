/** The page of the pipeline: asks every two seconds, and says what moves and what stands. */
import { byId, getJson, h, reconcile, setText } from "./dom.js";
import { formatCount, formatInstant, formatSeconds, visibleText } from "./format.js";

const LOOK_MS = 2000;
const NUMBER = { class: "n" };
const NONE = "–";
/** Columns of words and times; all others are figures. */
const WORDS = new Set([0, 1, 8]);
const COLUMNS = 12;
const STATES = {
  running: "running",
  waiting: "records wait",
  stalled: "stalled",
  unread: "never read",
  unseen: "nobody looks",
};

/** The offsets of the look before, and when that was. */
let before = null;
let lostSince = null;

async function look() {
  try {
    const answer = await getJson("/api/pipeline");
    lostSince = null;
    show(answer, performance.now());
  } catch (error) {
    lostSince ??= new Date().toISOString();
    showNotices([`No answer since ${formatInstant(lostSince)}: ${error.message}`]);
    setText(byId("link"), "No connection");
  }
  setTimeout(look, LOOK_MS);
}

function show(answer, nowMs) {
  const rates = ratesOf(answer, nowMs);
  setText(byId("inputs"), visibleText(answer.inputs));
  setText(byId("state"), answer.state[0].toUpperCase() + answer.state.slice(1));
  byId("state").dataset.state = answer.state;
  setText(byId("link"), "Live");
  showNotices(answer.problems.map((problem) => `The pipeline stands: ${problem}.`));
  showFlow(answer, rates);
  reconcile(byId("partitions"), answer.partitions, {
    key: ({ partition }) => String(partition),
    create: () =>
      h(
        "tr",
        {},
        ...Array.from({ length: COLUMNS }, (_, i) => h("td", WORDS.has(i) ? {} : NUMBER)),
      ),
    update: (row, partition) => showPartition(row, partition, rates.get(partition.partition)),
  });
}

/** Records a second that came into the tables since the look before. */
function ratesOf({ partitions }, nowMs) {
  const offsets = new Map(partitions.map((one) => [one.partition, one.next_offset ?? 0]));
  const seconds = before === null ? 0 : (nowMs - before.atMs) / 1000;
  const rates = new Map(
    partitions.map(({ partition }) => {
      const from = before?.offsets.get(partition);
      const moved = from === undefined ? 0 : offsets.get(partition) - from;
      return [partition, seconds > 0 ? Math.max(0, moved) / seconds : 0];
    }),
  );
  before = { atMs: nowMs, offsets };
  return rates;
}

function showFlow({ source, partitions, total, problems, sink_errors: errors }, rates) {
  const rate = `${formatCount([...rates.values()].reduce((sum, one) => sum + one, 0))} records/s`;
  const ends = partitions.reduce((sum, one) => sum + (one.log_end_offset ?? 0), 0);
  const waits = partitions.reduce((sum, one) => sum + (one.waiting ?? 0), 0);
  const accepted = total.ok + total.late;
  const stands = problems.length > 0;
  const raw = { name: "Raw topic", figure: `${formatCount(ends)} offsets`, note: `${waits} wait` };
  const boxes = source === "database"
    ? [
      { name: "Input", figure: "producers", note: "into the raw topic" },
      raw,
      { name: "Processor", figure: rate, note: `${formatCount(total.raw)} judged`, stands },
      { name: "Topics", figure: `${formatCount(accepted)} accepted`, note: refusals(total) },
      { name: "Database", figure: rate, note: `${formatCount(errors)} refused`, stands },
    ]
    : [
      { name: "Input", figure: formatCount(total.raw), note: "records read" },
      { name: "Processor", figure: rate, note: refusals(total), stands },
      { name: "Store", figure: `${formatCount(accepted)} accepted`, note: "one file", stands },
    ];
  reconcile(byId("flow"), boxes, {
    key: ({ name }) => name,
    create: ({ name }) => h("li", {}, h("b", {}, name), h("span", {}), h("span", {})),
    update: (box, { figure, note, stands }) => {
      box.dataset.state = stands ? "stands" : "goes";
      setText(box.children[1], figure);
      setText(box.children[2], note);
    },
  });
}

function refusals({ too_late: late, duplicate, rejected }) {
  return `${formatCount(late + duplicate + rejected)} not accepted`;
}

function showPartition(row, partition, rate) {
  row.dataset.state = partition.state ?? "";
  const seconds = (value) => value === null ? NONE : formatSeconds(value);
  const { watermark, written_at: writtenAt } = partition;
  const ageOf = (iso) =>
    iso === null ? NONE : seconds(Math.max(0, (Date.now() - Date.parse(iso)) / 1000));
  const cells = [
    String(partition.partition),
    STATES[partition.state] ?? NONE,
    formatCount(rate),
    formatCount(partition.next_offset),
    formatCount(partition.log_end_offset),
    formatCount(partition.waiting),
    formatCount(partition.sink_lag),
    seconds(partition.still_seconds),
    formatInstant(watermark),
    ageOf(watermark),
    partition.commit_seconds === null ? NONE : `${partition.commit_seconds} s`,
    writtenAt === null ? NONE : `${ageOf(writtenAt)} ago`,
  ];
  cells.forEach((text, i) => setText(row.children[i], text));
}

function showNotices(notices) {
  const box = byId("notices");
  if (box.dataset.text === notices.join("\n")) return;
  box.dataset.text = notices.join("\n");
  box.replaceChildren(...notices.map((notice) => h("p", { class: "notice" }, notice)));
}

look();
