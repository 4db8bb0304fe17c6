/* JavaScript, for the page in the browser runs it as it stands: the page and the command line say one
 * duration in the same words. */

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const WEEK = 7 * DAY;
/** Days are plain up to a month; only then do weeks help. */
const WEEKS_FROM = 31 * DAY;

/**
 * A duration as people read it: `45 s`, `30 min`, `2 h 30 min`, `3 d 4 h`, `51 wk 2 d`; at most two
 * units, the rest cut. A dash where nothing is known.
 *
 * @param {number | null | undefined} seconds
 * @returns {string}
 */
export function formatSeconds(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return "–";
  const steps = [[WEEK, "wk"], [DAY, "d"], [HOUR, "h"], [MINUTE, "min"], [1, "s"]];
  const units = seconds >= WEEKS_FROM ? steps : steps.slice(1);
  const at = units.findIndex(([size]) => seconds >= size);
  if (at < 0) return seconds > 0 ? "< 1 s" : "0 s";
  const [size, name] = units[at];
  const count = Math.floor(seconds / size);
  const whole = count.toLocaleString("en-US");
  const next = units[at + 1];
  if (next === undefined) return `${whole} ${name}`;
  const rest = Math.floor((seconds - count * size) / next[0]);
  return `${whole} ${name}${rest > 0 ? ` ${rest} ${next[1]}` : ""}`;
}
