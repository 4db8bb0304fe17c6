const PREVIEW_LENGTH_MAX = 60;

/** A value as JSON, cut. */
export function preview(value: unknown): string {
  const cut = typeof value === "string" ? value.slice(0, PREVIEW_LENGTH_MAX + 2) : value;
  if (typeof cut === "object" && cut !== null) return Array.isArray(cut) ? "an array" : "an object";
  if (cut === Infinity || cut === -Infinity) return "too large for a number";
  const text = JSON.stringify(cut) ?? "absent";
  if (text.length <= PREVIEW_LENGTH_MAX) return text;
  const end = PREVIEW_LENGTH_MAX - (isHighSurrogate(text, PREVIEW_LENGTH_MAX - 1) ? 1 : 0);
  return `${text.slice(0, end)}…`;
}

function isHighSurrogate(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  return code >= 0xd800 && code <= 0xdbff;
}
