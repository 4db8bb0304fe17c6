/** Raw records as texts: readings in many spellings, and what is no reading at all. */

const MINUTE_MS = 60_000;
const DAY_MS = 1440 * MINUTE_MS;

/** "7" is also written as a number, the others also with spaces around them. */
export const METER_IDS = ["M1", "M2", "7", "Ä ☼"] as const;

export function writeMeterId(meter: number, form: number): string {
  const id = METER_IDS[meter];
  const unseen = ["  ", "\ufeff", "\u00a0\u200b", "\t\u2060", "\u3000\r\n"];
  if (form % 3 === 1) return JSON.stringify(`${unseen[form % 5]}${id} ${unseen[form % 4]}`);
  return id === "7" && form % 3 === 2 ? id : JSON.stringify(id);
}

export function writeReading(meter: number, atMs: number, kwh: number, form: number): string {
  const id = `"meter_id":${writeMeterId(meter, form)}`;
  const time = `"timestamp":${writeTime(atMs, form)}`;
  const values = [kwh, `${kwh}.50`, `"${kwh}"`, `" +${kwh}.e0 "`, `"-${kwh}"`, "-0.0", "1e2"];
  const value = `"consumption_kwh":${values[form % 11] ?? kwh}`;
  switch (form % 7) {
    case 5:
      return `{ ${value}, "x": {"y": [1]}, ${time}, ${id} }`;
    case 6:
      return `{${id},${time},${value},"received_at":${writeTime(atMs + MINUTE_MS, form)}}`;
    case 4:
      return `{"type":"reading",${id},${time},${value},"received_at":"soon"}`;
    default:
      return `{${id},${time},${value}}`;
  }
}

/** A time in the spelling drawn, or with Z where that spelling cannot hold it. */
export function writeTime(atMs: number, form: number): string {
  const iso = new Date(atMs).toISOString();
  const plain = iso.replace(".000Z", "Z");
  const shifted = (minutes: number, offset: string): string =>
    new Date(atMs + minutes * MINUTE_MS).toISOString().replace(".000Z", "Z").replace("Z", offset);
  const spellings = [
    `"${plain}"`,
    `"${shifted(120, "+02:00")}"`,
    `"${shifted(-210, "-0330")}"`,
    `"${shifted(60, "+01")}"`,
    `"${plain.replace("Z", "")}"`,
    `"${plain.replace("T", " ").toLowerCase()}"`,
    `" ${iso.replace("Z", "999999z")} "`,
    `"${iso.replace(".", ",")}"`,
    atMs % MINUTE_MS === 0 ? `"${iso.slice(0, 16)}"` : null,
    atMs % DAY_MS === 0 ? `"${iso.slice(0, 10)}"` : null,
    atMs % DAY_MS === 0 ? `"${new Date(atMs - DAY_MS).toISOString().slice(0, 10)}T24:00"` : null,
    `${atMs}`,
    `${atMs}.75`,
    `${atMs / 1000}`,
    `"${atMs}"`,
    atMs % 1000 === 0 ? `"${atMs / 1000}"` : null,
  ];
  return spellings[form % spellings.length] ?? spellings[0]!;
}

/** What stands behind meter and timestamp when the value is not usable. */
export function unusableValues(): string[] {
  const values = ["null", "true", `""`, `"Null"`, `"0,5"`, `"0x1f"`, "1e400", "-1", "101", "[]"];
  return ["", ...values.map((value) => `,"consumption_kwh":${value}`)];
}

/** Records that are no readings, of every reason. */
export function poisonRecords(): string[] {
  const badTimes = [
    `"2024/01/01 10:00"`,
    `"01 Jan 2024 10:00"`,
    `"2013-02-30"`,
    `"2024-01-01T25:00"`,
    `"2024-01-01T24:00:00.0001Z"`,
    `"2024-01-01T24:01Z"`,
    `"2024-01-01T10:00:60Z"`,
    `"2024-01-01T1000Z"`,
    `"2024-01-01  10:00"`,
    `"2024-1-1"`,
    `""`,
    `"20240101"`,
    "-1",
    "1e400",
    "253402300800000",
    "null",
  ];
  const badIds = [
    "null",
    `""`,
    `"  "`,
    "1.5",
    "true",
    `"a\\u0001b"`,
    `"a\\u0085b"`,
    `"\\ufeff\\u200b\\u00a0"`,
    `"\\ud800"`,
    `"${"x".repeat(257)}"`,
    "1e17",
  ];
  const value = `"consumption_kwh":0.5`;
  const time = `"timestamp":"2024-01-01T00:30:00Z"`;
  return [
    ...["", "not json", "[]", "null", "42", `"tick"`, `{"meter_id":"M1"`, "\u0000"],
    `{"type":"tick"}`,
    `{"type":"tick","timestamp":"noon"}`,
    `{"meter_id":"M1",${value}}`,
    `{"type":"retire","meter_id":"M1"}`,
    `{"type":"retire","meter_id":" ","timestamp":"2024-01-01T00:30:00Z"}`,
    `{${time},${value}}`,
    "{}",
    ...badTimes.map((bad) => `{"meter_id":"M1","timestamp":${bad},${value}}`),
    ...badIds.map((bad) => `{"meter_id":${bad},${time},${value}}`),
  ];
}
