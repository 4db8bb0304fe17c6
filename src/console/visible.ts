const SHORT_ESCAPES: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/**
 * Text that a terminal can only show. Controls (C0, DEL, C1), line separators, direction marks and
 * other characters without a shape are written as JSON would escape them (`\u001b`, `\n`), so that
 * data cannot write a clipboard, move the cursor, forge a line or turn the text round. JSON stays
 * JSON of the same value.
 */
export function visible(text: string): string {
  const hidden = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;
  return text.toWellFormed().replace(hidden, (char) => SHORT_ESCAPES[char] ?? escaped(char));
}

/** Of a character beyond U+FFFF two escapes: JSON knows UTF-16 units only. */
function escaped(char: string): string {
  return char.split("").map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`)
    .join("");
}
