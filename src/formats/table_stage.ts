import { isoTime, kwhOf, kwhText, splitCells, unitIn } from "./cells.ts";
import { headerOf, newRowWriter, rowText, type RowWriter } from "./row_writer.ts";
import { lineStage, type Stage } from "./stage.ts";
import { type Reading, type Table, timeText } from "./table.ts";

/** A stage that hands on rows, and from which lines they are. */
export type RowStage = { readonly stage: Stage; readonly writer: RowWriter };

/**
 * Makes plain rows of a table's. A quote that never closes costs its own line: that is handed on as a
 * row without a meter, its text in the place of the time. What is no time or no number stays as it
 * stands, for whoever reads the row to refuse.
 */
export function tableStage(table: Table, reading: Reading): RowStage {
  const writer = newRowWriter();
  const { delimiter, headerLine, names } = table;
  const header = names.join("\n");
  const line = (text: string, number: number): string => {
    if (number <= headerLine || text.trim() === "") return "";
    const cells = splitCells(text, delimiter);
    if (cells === null) return rowText(writer, number, { meter: "", time: text, value: "" });
    if (cells.every((cell) => cell === "") || cells.join("\n") === header) return "";
    return rowsOf(cells, { table, reading, writer, number });
  };
  return { stage: lineStage(line, () => headerOf(writer)), writer };
}

function rowsOf(
  cells: readonly string[],
  { table, reading, writer, number }: {
    readonly table: Table;
    readonly reading: Reading;
    readonly writer: RowWriter;
    readonly number: number;
  },
): string {
  const { profile, names, values, clocks } = table;
  const { decimal, dateOrder, minutes } = reading;
  const meter = table.meter < 0 ? reading.meterId ?? "" : cells[table.meter] ?? "";
  const said = table.unit < 0 ? null : unitIn(cells[table.unit] ?? "");
  const factor = said === null ? reading.factor : kwhOf(said, minutes);
  const time = profile.wide === "clock" ? "" : timeText(table, cells, dateOrder);
  const channel = table.channel < 0 ? null : channelOf(table, cells[table.channel] ?? "");
  if (profile.wide === undefined) {
    const value = kwhText(cells[values[0]] ?? "", decimal, factor);
    return rowText(writer, number, { meter, channel, time, value });
  }
  let rows = "";
  for (const [v, column] of values.entries()) {
    // A blank cell in a wide table is a reading that is not there, not a bad one.
    const cell = cells[column] ?? "";
    if (cell === "") continue;
    const value = kwhText(cell, decimal, factor);
    const name = names[column];
    switch (profile.wide) {
      case "meter":
        rows += rowText(writer, number, { meter: name, channel, time, value });
        break;
      case "channel":
        rows += rowText(writer, number, { meter, channel: name, time, value });
        break;
      case "clock": {
        const date = isoTime(cells[table.time] ?? "", dateOrder);
        rows += rowText(writer, number, { meter, channel, time: `${date} ${clocks[v]}`, value });
        break;
      }
      default:
        profile.wide satisfies never;
    }
  }
  return rows;
}

function channelOf({ profile }: Table, text: string): string {
  const known = Object.entries(profile.channels ?? {}).find(([, pattern]) => pattern.test(text));
  return known === undefined ? text : known[0];
}
