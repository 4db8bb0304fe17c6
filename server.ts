import { main, sayUncaught } from "./cli.ts";

/** The status API by itself: `gridwatch serve`. */
if (import.meta.main) {
  sayUncaught();
  Deno.exit(await main(["serve", ...Deno.args]));
}
