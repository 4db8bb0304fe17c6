/*
 * npm packages that only these tests need. They are no imports of the project: named in deno.json or
 * deno.lock they would be fetched by `deno task demo`. Processes of their own import them, by
 * packages.lock.
 */

/** Runs workers in workerd, with what edge platforms give them. */
export const MINIFLARE = "npm:miniflare@4.20260730.0";
/** Steers a browser that is installed. */
export const PLAYWRIGHT = "npm:playwright-core@1.55.0";
