/**
 * What a statement that may only read is run as. A transaction that is READ ONLY would not do: a
 * superuser's may still write files (`COPY … TO`), and a statement may end it (`COMMIT`).
 */
const ROLE = "gridwatch_reader";

/**
 * Makes the role, once a database. Nobody but the superuser may call `set_config` then: with it a
 * SELECT could take the role off.
 */
export const MAKE_READER = `DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '${ROLE}') THEN
    CREATE ROLE ${ROLE} NOLOGIN;
    GRANT pg_read_all_data TO ${ROLE};
    REVOKE EXECUTE ON FUNCTION pg_catalog.set_config(text, text, boolean) FROM PUBLIC;
  END IF;
END $$`;

/** Makes a transaction one that can only read, to its end. */
export const BECOME_READER = `SET TRANSACTION READ ONLY; SET LOCAL ROLE ${ROLE}`;

/** The words that a statement that reads begins with. */
export const READING_WORDS = ["SELECT", "WITH", "VALUES", "TABLE", "SHOW", "EXPLAIN"] as const;

/** Whether a statement begins with a word of those that read: it cannot end its transaction. */
export function isReading(sql: string): boolean {
  const word = /^[a-z]+(?![\w$])/i.exec(sql.slice(firstWordAt(sql)))?.[0].toUpperCase();
  return READING_WORDS.some((reading) => reading === word);
}

/** Where the first word stands, behind blanks, comments (which nest in PostgreSQL) and `(`. */
function firstWordAt(sql: string): number {
  const blank = /[\s(]+|--[^\r\n]*/y;
  let at = 0;
  while (at < sql.length) {
    blank.lastIndex = at;
    if (sql.startsWith("/*", at)) at = commentEnd(sql, at);
    else if (blank.test(sql)) at = blank.lastIndex;
    else break;
  }
  return at;
}

function commentEnd(sql: string, from: number): number {
  let depth = 0;
  for (let at = from; at < sql.length; at++) {
    if (sql.startsWith("/*", at)) depth++;
    else if (sql.startsWith("*/", at)) depth--;
    else continue;
    at++; // the second character of the mark
    if (depth === 0) return at + 1;
  }
  return sql.length;
}
