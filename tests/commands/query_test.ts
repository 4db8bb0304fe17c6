import assert from "node:assert/strict";
import { SqliteStore } from "../../src/adapters/sqlite/store.ts";
import { commitOf, outputsOf, validatedOf } from "../adapters/commits.ts";
import { gridwatch, inFolder } from "./command_line.ts";

Deno.test("query gives every column, also those of one name, and only reads", async (t) => {
  await inFolder(async (folder) => {
    const store = await SqliteStore.open(folder);
    const validated = Array.from({ length: 2500 }, (_, offset) => validatedOf(offset));
    await store.commit(commitOf(0, 0, { nextOffset: 2500, outputs: outputsOf({ validated }) }));
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
        const sql = `SELECT '=1+1' AS a, '-1' AS "=b", -1 AS c, -1.50 AS d, -1e300 AS e, '@x' AS f,
          NULL AS g, '' AS h, x'2d31' AS i`;
        assert.equal(
          (await query(sql, "--csv")).stdout,
          `a,'=b,c,d,e,f,g,h,i\n'=1+1,'-1,-1,-1.5,-1e+300,'@x,,"",\\x2d31\n`,
        );
        assert.equal(
          (await query(sql, "--csv", "--raw")).stdout,
          `a,=b,c,d,e,f,g,h,i\n=1+1,-1,-1,-1.5,-1e+300,@x,,"",\\x2d31\n`,
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
        "error: Cannot query: the statement does more than read\n" +
          "hint: `gridwatch query` only reads the store's tables\n",
      );
    });
    await t.step(
      "a table has 1,000 rows unless told, CSV and JSON have all, beside a writer",
      async () => {
        const sql = "SELECT * FROM validated_readings";
        const table = await query(sql);
        assert.equal(table.stdout.split("\n").length, 2 + 1000 + 1);
        assert.match(table.stderr, /^note: there are more than these 1,000 rows: --limit N, /);
        assert.equal((await query(sql, "--csv")).stdout.split("\n").length, 1 + 2500 + 1);
        assert.equal(JSON.parse((await query(sql, "--json")).stdout).length, 2500);
        for (const limit of [1, 1000, 2000, 9999]) {
          const rows = Math.min(limit, 2500);
          const limited = (...args: string[]) => query(sql, "--limit", String(limit), ...args);
          assert.equal((await limited()).stdout.split("\n").length, 2 + rows + 1);
          assert.equal((await limited("--csv")).stdout.split("\n").length, 1 + rows + 1);
          assert.equal(JSON.parse((await limited("--json")).stdout).length, rows);
        }
        const none = "SELECT 1 AS a WHERE false";
        assert.deepEqual(JSON.parse((await query(none, "--json")).stdout), []);
        assert.equal((await query(none, "--csv")).stdout, "a\n");
        assert.equal((await query("SELECT 1 FROM nowhere")).code, 1);
      },
    );
    await store.close();
    await t.step("two statements are refused", async () => {
      const ended = await query("SELECT 1; SELECT 2");
      assert.equal(ended.code, 1);
      assert.match(ended.stderr, /^error: Cannot query: one statement at a time\n$/);
    });
  });
});
