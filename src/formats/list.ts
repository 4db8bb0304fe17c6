import { PROFILES } from "./profile.ts";

/** A format that is read, as it is listed. */
export type Listed = {
  readonly name: string;
  readonly about: string;
  /** No real sample of it was ever at hand. */
  readonly unverified: boolean;
};

const listed = (name: string, about: string): Listed => ({ name, about, unverified: false });

/**
 * Every format that is read. Each table may be a sheet of a workbook, or a Parquet file; each file packed:
 * `.gz`, or several in a `.zip`.
 */
export const FORMATS: readonly Listed[] = [
  listed("csv", "a row a reading: meter, time, value; other names by options"),
  ...PROFILES.map(({ name, about, isUnverified = false }) => ({
    name,
    about,
    unverified: isUnverified,
  })),
  listed("nem12", "AEMO NEM12 of Australia: intervals of several registers"),
  listed("nem13", "AEMO NEM13 of Australia: accumulated reads"),
  listed("green-button", "Green Button (ESPI) as XML"),
  listed("wide-day", "a row a day, a column an interval"),
];

/** Formats that no profile describes, and that may be asked for. */
export type ForcedFormat = "csv" | "wide-day" | "nem12" | "nem13" | "green-button";
const FORCED: readonly string[] = ["csv", "wide-day", "nem12", "nem13", "green-button"];

/** Whether a name is one of them. */
export function isForced(name: string): name is ForcedFormat {
  return FORCED.includes(name);
}
