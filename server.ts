import { main } from "./cli.ts";

/** The status API by itself: `gridwatch serve`. */
if (import.meta.main) Deno.exit(await main(["serve", ...Deno.args]));
