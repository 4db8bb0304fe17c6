import assert from "node:assert/strict";
import { PgliteStore } from "../../src/adapters/pglite/store.ts";
import { gridwatch, inFolder } from "./command_line.ts";

Deno.test("query gives every column, also those of one name, and only reads", async (t) => {
  await inFolder(async (folder) => {
    await (await PgliteStore.open(folder)).close();
    const query = (...args: string[]) => gridwatch("query", ...args, "--data", folder);
    await t.step("two columns of one name stay two, as table, CSV and JSON", async () => {
      const sql = "SELECT 1 AS a, 2 AS a";
      assert.equal((await query(sql)).stdout, "a  a\n─  ─\n1  2\n");
      assert.equal((await query(sql, "--csv")).stdout, "a,a\n1,2\n");
      assert.deepEqual(JSON.parse((await query(sql, "--json")).stdout), [{ a: 1, a_2: 2 }]);
    });
    await t.step(
      "CSV takes the formula out of a text, by the column's type, unless --raw",
      async () => {
        const sql = `SELECT '=1+1' AS a, '-1' AS "=b", -1 AS c, -1.50 AS d, -2::bigint AS e,
        -1e300::float8 AS f, '-5'::money AS g, '-infinity'::numeric AS h, to_jsonb('@x'::text) AS i`;
        assert.equal(
          (await query(sql, "--csv")).stdout,
          "a,'=b,c,d,e,f,g,h,i\n'=1+1,'-1,-1,-1.50,-2,-1e+300,-$5.00,-Infinity,'@x\n",
        );
        assert.equal(
          (await query(sql, "--csv", "--raw")).stdout,
          "a,=b,c,d,e,f,g,h,i\n=1+1,-1,-1,-1.50,-2,-1e+300,-$5.00,-Infinity,@x\n",
        );
      },
    );
    await t.step("--raw without --csv is refused with exit code 2", async () => {
      const ended = await query("SELECT 1", "--raw");
      assert.equal(ended.code, 2);
      assert.match(ended.stderr, /^error: Cannot query with --raw: must come with --csv\nhint: /);
    });
    await t.step("what would write is refused with exit code 1, and a hint", async () => {
      const ended = await query("COMMIT");
      assert.equal(ended.code, 1);
      assert.equal(
        ended.stderr,
        "error: Cannot query: must begin with SELECT, WITH, VALUES, TABLE, SHOW, EXPLAIN\n" +
          "hint: `gridwatch query` only reads the store's tables\n",
      );
    });
    await t.step("two statements are refused with a hint", async () => {
      const ended = await query("SELECT 1; SELECT 2");
      assert.equal(ended.code, 1);
      assert.match(ended.stderr, /^error: Cannot query: .*\nhint: one statement at a time\n$/);
    });
  });
});
