/** Longest meter id in UTF-16 units. */
export const METER_ID_LENGTH_MAX = 256;

/** White space of any kind, byte order marks and zero-width characters: nobody sees them. */
const UNSEEN = /[\p{White_Space}\ufeff\u180e\u200b-\u200d\u2060]/u;
// deno-lint-ignore no-control-regex -- controls (C0, DEL, C1) are what is refused
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;

/** A meter id without what surrounds it unseen; everything that reads ids trims them by this. */
export function trimMeterId(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isUnseen(text, start)) start++;
  while (end > start && isUnseen(text, end - 1)) end--;
  return text.slice(start, end);
}

function isUnseen(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  return code === 0x20 || (code < 0x21 || code > 0x7e) && UNSEEN.test(text[at]);
}

/** Whether a trimmed id can name a meter: not empty, not too long, no control in it. */
export function isMeterId(id: string): boolean {
  return id.length > 0 && id.length <= METER_ID_LENGTH_MAX && !CONTROL.test(id) &&
    id.isWellFormed();
}

/**
 * The id in a cell of a file, trimmed: `="x"`, by which spreadsheets keep digits as text, is x. Empty
 * where there is none; whether it can name a meter, `isMeterId` says.
 */
export function meterIdOfCell(text: string): string {
  const id = trimMeterId(text);
  const isFormula = id.length > 2 && id.startsWith('="') && id.endsWith('"');
  return isFormula ? trimMeterId(id.slice(2, -1).replaceAll('""', '"')) : id;
}
