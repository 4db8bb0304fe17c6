/** Figures and times as people read them. Pure: no DOM, no clock. All times are UTC. */

export { formatSeconds } from "../../core/duration.js";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");
const WEEKDAYS = "Sun Mon Tue Wed Thu Fri Sat".split(" ");
const NONE = "–";
const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

/** `1,371,693`; a dash where nothing is known. */
export function formatCount(value) {
  return value === null || value === undefined ? NONE : whole.format(value);
}

/** `99.87 %`, cut, never rounded up: what is not complete never reads 100. */
export function formatPercent(value, decimals = 2) {
  if (value === null || value === undefined) return NONE;
  if (value === 100) return "100 %";
  const factor = 10 ** decimals;
  return `${(Math.floor(value * factor + 1e-9) / factor).toFixed(decimals)} %`;
}

/** `0.219`, `12.3`, `1,204`: about three figures. */
export function formatKwh(value) {
  const size = Math.abs(value);
  if (size >= 1000) return whole.format(value);
  return String(Number(value.toFixed(size >= 100 ? 1 : size >= 10 ? 2 : 3)));
}

/** `27 Jan 2013, 14:30`; with seconds where they are not 0. */
export function formatInstant(iso) {
  const at = dateOf(iso);
  return at === null ? NONE : `${formatDay(at.getTime())}, ${formatClock(at)}`;
}

/** `27 Jan 14:30`, for lists whose year is told elsewhere. */
export function formatShortInstant(iso) {
  const at = dateOf(iso);
  if (at === null) return NONE;
  return `${at.getUTCDate()} ${MONTHS[at.getUTCMonth()]} ${formatClock(at)}`;
}

/** `27 Jan 2013`. */
export function formatDay(ms) {
  const at = new Date(ms);
  return `${at.getUTCDate()} ${MONTHS[at.getUTCMonth()]} ${at.getUTCFullYear()}`;
}

/** `Sun 27 Jan 2013`, or `27 Jan – 2 Feb 2013` for several days. `toMs` is the end, not within. */
export function formatDays(fromMs, toMs) {
  const lastMs = toMs - DAY_MS;
  if (lastMs <= fromMs) return `${WEEKDAYS[new Date(fromMs).getUTCDay()]} ${formatDay(fromMs)}`;
  const first = new Date(fromMs);
  return `${first.getUTCDate()} ${MONTHS[first.getUTCMonth()]} – ${formatDay(lastMs)}`;
}

function formatClock(at) {
  const iso = at.toISOString();
  return iso.slice(17, 19) === "00" ? iso.slice(11, 16) : iso.slice(11, 19);
}

function dateOf(iso) {
  if (iso === null || iso === undefined) return null;
  const at = new Date(iso);
  return Number.isNaN(at.getTime()) ? null : at;
}

/**
 * Text from data with what cannot be seen made visible: a line feed is `\n`, a right-to-left
 * override is `\u{202e}`. An id must not look like another one.
 */
export function visibleText(text) {
  return String(text).replace(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}]/gu,
    (each) => SHORT_ESCAPES[each] ?? `\\u{${each.codePointAt(0).toString(16)}}`,
  );
}

const SHORT_ESCAPES = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** Days per cell, so that a cell is at least `cellPxMin` wide. */
export function daysPerCell(days, widthPx, cellPxMin = 5) {
  const needed = (days * cellPxMin) / Math.max(1, widthPx);
  return [1, 2, 7, 14, 28, 56, 112].find((step) => step >= needed) ?? 224;
}

/** Marks of a time axis, at least `gapPx` apart: `{ms, label}`. */
export function timeTicks(fromMs, toMs, widthPx, gapPx = 76) {
  const perTickMs = ((toMs - fromMs) / Math.max(1, widthPx)) * gapPx;
  const fixed = [HOUR_MS, 3 * HOUR_MS, 6 * HOUR_MS, 12 * HOUR_MS, DAY_MS, 2 * DAY_MS, 7 * DAY_MS];
  const stepMs = fixed.find((step) => step >= perTickMs);
  if (stepMs !== undefined) return fixedTicks(fromMs, toMs, stepMs);
  const months = [1, 2, 3, 6, 12, 24, 60].find((n) => n * 28 * DAY_MS >= perTickMs) ?? 120;
  return monthTicks(fromMs, toMs, months);
}

function fixedTicks(fromMs, toMs, stepMs) {
  const ticks = [];
  // Weeks begin on Mondays: the epoch was a Thursday.
  const originMs = stepMs === 7 * DAY_MS ? 4 * DAY_MS : 0;
  let ms = Math.ceil((fromMs - originMs) / stepMs) * stepMs + originMs;
  for (; ms < toMs; ms += stepMs) {
    const at = new Date(ms);
    const day = `${at.getUTCDate()} ${MONTHS[at.getUTCMonth()]}`;
    const label = ms % DAY_MS === 0 ? day : at.toISOString().slice(11, 16);
    ticks.push({ ms, label });
  }
  return ticks;
}

function monthTicks(fromMs, toMs, months) {
  const ticks = [];
  const first = new Date(fromMs);
  let month = first.getUTCFullYear() * 12 + first.getUTCMonth();
  month = Math.ceil(month / months) * months;
  for (;; month += months) {
    const ms = Date.UTC(Math.floor(month / 12), month % 12, 1);
    if (ms >= toMs) return ticks;
    const isYear = month % 12 === 0 || months >= 12;
    const label = isYear ? String(Math.floor(month / 12)) : MONTHS[month % 12];
    if (ms >= fromMs) ticks.push({ ms, label });
  }
}

/** Round numbers from 0 to at least `max`: `[0, 0.5, 1]`. */
export function valueTicks(max, count = 3) {
  if (!(max > 0)) return [0, 1];
  const rough = max / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((n) => n * power).find((n) => n >= rough * 0.999_999);
  const ticks = [];
  for (let i = 0; i * step < max + step * 0.999_999; i++) {
    ticks.push(Number((i * step).toPrecision(6)));
  }
  return ticks;
}
