/**
 * `deno task audit:page`: the audit page made anew as one file, which `serve` sends at /audit and which
 * works from a disk. `--check`: only says whether it is what it would be made.
 */

const ROOT = new URL("../", import.meta.url);
const PAGE = new URL("src/browser/page/", ROOT);
const MADE = new URL("src/api/page/audit.html", ROOT);

/** What stands in for what a browser has not: the checksum of Node, by the same name. */
const INSTEAD = { "node:zlib": new URL("src/formats/crc32.ts", ROOT).href };

/** The worker and all that it imports, as one script. */
async function bundleWorker(): Promise<string> {
  const folder = await Deno.makeTempDir({ prefix: "gridwatch-page-" });
  try {
    const { imports } = JSON.parse(await Deno.readTextFile(new URL("deno.json", ROOT)));
    const map = `${folder}/imports.json`;
    await Deno.writeTextFile(map, JSON.stringify({ imports: { ...imports, ...INSTEAD } }));
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      cwd: ROOT,
      args: [
        ...["bundle", "--quiet", "--platform=browser", "--minify", `--import-map=${map}`],
        ...[`--output=${folder}/worker.js`, "src/browser/audit_worker.ts"],
      ],
      stdout: "null",
    }).output();
    if (!success) throw new Error(new TextDecoder().decode(stderr));
    return await Deno.readTextFile(`${folder}/worker.js`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** The page as one file. */
export async function makePage(): Promise<string> {
  const read = (name: string) => Deno.readTextFile(new URL(name, PAGE));
  const [page, css, script] = await Promise.all(["page.html", "page.css", "page.js"].map(read));
  // No text of a script may end the element that holds it, or hide its end.
  const worker = (await bundleWorker()).replaceAll("</script", "<\\/script")
    .replaceAll("<!--", "<\\!--");
  return page.replace("/*CSS*/", () => css).replace("/*WORKER*/", () => worker)
    .replace("/*SCRIPT*/", () => script);
}

if (import.meta.main) {
  const made = await makePage();
  if (!Deno.args.includes("--check")) await Deno.writeTextFile(MADE, made);
  else if (await Deno.readTextFile(MADE) !== made) {
    throw new Error("src/api/page/audit.html is not what it would be made: deno task audit:page");
  }
}
