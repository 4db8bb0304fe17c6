/* Pieces of the report's HTML. Whatever comes from a file goes through `escaped`. */

/** A text as HTML. */
export function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;").replace(
      /(?![\t\n])[\p{Cc}\u202a-\u202e\u2066-\u2069]/gu,
      "\ufffd",
    );
}

/** A value as JSON within a script element. */
export function scriptJson(value: unknown): string {
  return JSON.stringify(value).replaceAll("<", "\\u003c").replaceAll("\u2028", "\\u2028")
    .replaceAll("\u2029", "\\u2029");
}

/** A count as people read it: `1,234,567`. */
export function formatCount(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** A count and what is counted. */
export function counted(count: number, noun: string, plural = `${noun}s`): string {
  return `${formatCount(count)} ${count === 1 ? noun : plural}`;
}

/** `2013-05-01T00:30:00Z` as `2013-05-01 00:30`. */
export function shownTime(time: string | null): string {
  return time === null ? "–" : time.replace("T", " ").replace(/(:00)?Z$/, "");
}

/** Percent, as it is told. */
export function shownPercent(share: number | null): string {
  return share === null ? "not known" : `${share.toFixed(2)} %`;
}

/** A column of a table: its name, and how its cells look: numbers, ids, or long texts. */
export type HtmlColumn = readonly [name: string, kind?: "n" | "id" | "wide"];

/** A table; its cells are texts. */
export function htmlTable(
  columns: readonly HtmlColumn[],
  rows: readonly (readonly (string | number)[])[],
): string {
  const head = columns.map(([name, kind]) =>
    `<th${kind === "n" ? ' class="n"' : ""} scope="col">${escaped(name)}</th>`
  );
  const body = rows.map((row) => {
    const cells = row.map((cell, c) => {
      const kind = columns[c][1];
      const text = typeof cell === "number" ? formatCount(cell) : cell;
      return `<td${kind === undefined ? "" : ` class="${kind}"`}>${escaped(text)}</td>`;
    });
    return `<tr>${cells.join("")}</tr>`;
  });
  return `<div class="scroll"><table><thead><tr>${head.join("")}</tr></thead><tbody>${
    body.join("\n")
  }</tbody></table></div>`;
}

/** A section with a heading, and what there is to know of it. */
export function section(title: string, about: string, content: string): string {
  const lead = about === "" ? "" : `<p>${escaped(about)}</p>`;
  return `<section><h2>${escaped(title)}</h2>${lead}${content}</section>\n`;
}
