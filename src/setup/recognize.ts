import { denoFiles } from "../adapters/deno/files.ts";
import { quoteWord } from "../console/quote.ts";
import type { CsvColumns } from "../formats/csv_header.ts";
import { readHead, unreadError } from "../replay/file_head.ts";

/**
 * Looks at the beginning of each file, so that one that cannot be read is named as what it is
 * before anything is made. A recorded raw topic is played as it stands.
 *
 * @throws {ReadError} for the first that is no plain CSV: what it is, and what to do
 */
export function refuseUnread(paths: readonly string[], columns: CsvColumns): void {
  for (const path of paths.filter((each) => !each.endsWith(".jsonl"))) {
    const error = unreadError(path, readHead(denoFiles, path), { columns, quote: quoteWord });
    if (error !== null) throw error;
  }
}
