/** Holds the arrows of the architecture, by reading what every file under src/ imports. */
import assert from "node:assert/strict";

const ROOT = new URL("../", import.meta.url);
const LINES_MAX = 400;
const FUNCTION_LINES_MAX = 70;

/** Which rooms under src/ each may import, and which packages; null: any package. */
const ARROWS: Record<string, { from: string[]; packages: RegExp | null }> = {
  core: { from: ["core"], packages: /^$/ },
  formats: {
    from: ["core", "formats"],
    packages: /^(fflate|hyparquet|hyparquet-compressors|saxes)$/,
  },
  tables: { from: ["core", "tables"], packages: /^$/ },
  generate: { from: ["core", "generate"], packages: /^$/ },
  engine: { from: ["core", "engine"], packages: /^$/ },
  replay: {
    from: ["core", "formats", "generate", "engine", "replay"],
    packages: /^node:zlib$/,
  },
  audit: { from: ["core", "formats", "replay", "audit"], packages: /^$/ },
  adapters: {
    from: ["core", "formats", "tables", "engine", "replay", "adapters"],
    packages: null,
  },
  api: { from: ["core", "tables", "engine", "api"], packages: /^hono(\/|$)/ },
  browser: {
    from: ["core", "formats", "replay", "audit", "judging.ts", "settings.ts", "browser"],
    packages: /^$/,
  },
  "setting.ts": { from: [], packages: /^$/ },
  "settings.ts": { from: ["core", "setting.ts"], packages: /^$/ },
  "check_setting.ts": { from: ["core", "setting.ts"], packages: /^$/ },
  "config.ts": {
    from: ["core", "check_setting.ts", "setting.ts", "settings.ts"],
    packages: /^yaml$/,
  },
  "judging.ts": { from: ["core", "setting.ts", "settings.ts"], packages: /^$/ },
  toolkit: {
    from: ["core", "check_setting.ts", "judging.ts", "setting.ts", "settings.ts", "toolkit"],
    packages: /^$/,
  },
  "toolkit.ts": { from: ["core", "toolkit"], packages: /^$/ },
  console: { from: ["core", "engine", "config.ts", "settings.ts", "console"], packages: null },
  setup: {
    from: [
      ...["core", "formats", "tables", "generate", "engine", "replay", "audit", "adapters", "api"],
      ...["console", "setup", "config.ts", "judging.ts", "settings.ts"],
    ],
    packages: null,
  },
  commands: {
    from: [
      ...["core", "formats", "tables", "generate", "engine", "replay", "audit", "adapters", "api"],
      ...["console", "setup", "commands", "config.ts", "judging.ts", "settings.ts"],
    ],
    packages: null,
  },
};
/** Rooms whose files may embed data of the repository: SQL, a page. */
const EMBEDS_DATA = ["tables", "adapters", "console", "setup", "commands"];

type Source = { path: string; text: string };

/** Every code file under src/, by its path there. */
function sources(): Source[] {
  const found: Source[] = [];
  const visit = (folder: string) => {
    for (const entry of Deno.readDirSync(new URL(`src/${folder}`, ROOT))) {
      const path = folder + entry.name;
      if (entry.isDirectory) visit(`${path}/`);
      else if (/\.(ts|tsx|js)$/.test(path)) {
        found.push({ path, text: Deno.readTextFileSync(new URL(`src/${path}`, ROOT)) });
      }
    }
  };
  visit("");
  return found.sort((a, b) => a.path < b.path ? -1 : 1);
}

const SOURCES = sources();

/** The code without its comments. */
function codeOf(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/(^|\s)\/\/.*$/gm, "$1");
}

/** What a file imports, whichever way: also a worker it starts or a file it resolves. */
function importsOf(text: string): string[] {
  const patterns = [
    /\b(?:import|export)\b[^;"'()]*?\bfrom\s*["']([^"']+)["']/g,
    /\bimport\s*["']([^"']+)["']/g,
    /\bimport\s*\(\s*["'`]([^"'`]+)["'`]/g,
    /\bimport\.meta\.resolve\(\s*["'`]([^"'`]+)["'`]/g,
    /\bnew URL\(\s*["'`](\.[^"'`]+)["'`]\s*,\s*import\.meta\.url/g,
  ];
  const code = codeOf(text);
  return patterns.flatMap((pattern) => [...code.matchAll(pattern)].map((match) => match[1]));
}

/** A relative import as a path from the root of the repository. */
function resolvePath(path: string, specifier: string): string {
  return new URL(specifier, `file:///src/${path}`).pathname.slice(1);
}

const homeOf = (path: string) => path.split("/")[0];

/** An adapter's vendor: its folder. */
const vendorOf = (path: string) => path.split("/")[1];

/** What is wrong with one import, or null. */
function importFault({ path }: Source, specifier: string): string | null {
  const home = homeOf(path);
  const arrow = ARROWS[home];
  if (arrow === undefined) return `${path}: no arrow is drawn for src/${home}`;
  const refused = `${path} imports "${specifier}"`;
  if (!specifier.startsWith(".")) {
    const allowed = specifier === "yaml" ? home === "config.ts" : arrow.packages?.test(specifier);
    return allowed ?? true ? null : refused;
  }
  const target = resolvePath(path, specifier);
  if (!target.startsWith("src/")) {
    // Data, or a folder that a path is joined to: no code.
    const isData = /\.(sql|json|csv|html|css|svg)$|^$|\/$/.test(target);
    return isData && EMBEDS_DATA.includes(home) ? null : refused;
  }
  const other = target.slice("src/".length);
  if (!arrow.from.includes(homeOf(other))) return refused;
  if (home === "adapters" && homeOf(other) === home && vendorOf(path) !== vendorOf(other)) {
    return refused;
  }
  return null;
}

function importFaults(files: readonly Source[]): string[] {
  return files.flatMap((file) =>
    importsOf(file.text).map((specifier) => importFault(file, specifier))
  ).filter((fault) => fault !== null);
}

/** What a pure function cannot know: the runtime, the time, chance, the world outside. */
const IMPURE = [
  ...[/\bDeno\b/, /\bprocess\b/, /\bglobalThis\b/, /\bnavigator\b/, /\bconsole\b/, /\bfetch\b/],
  ...[/\bDate\.now\b/, /\bnew Date\(\s*\)/, /\bDate\(\s*\)/, /\bperformance\b/, /\bTemporal\b/],
  ...[
    /\bMath\.random\b/,
    /\bcrypto\b(?!\.subtle\.digest\b)/,
    /(?<!\.)\bset(Timeout|Interval)\(\s*(\(|function|async|\w+\s*=>)/,
    /\bqueueMicrotask\b/,
  ],
  ...[/\blocalStorage\b/, /\bWorker\b/],
];
const ASYNCHRONOUS = [/\basync\b/, /\bawait\b/, /\bPromise\b/];

function wordsIn(files: readonly Source[], patterns: readonly RegExp[]): string[] {
  return files.flatMap(({ path, text }) => {
    const code = codeOf(text);
    return patterns.flatMap((pattern) => {
      const found = pattern.exec(code);
      return found === null ? [] : [`${path} uses ${found[0]}`];
    });
  });
}

/** Reads of the environment, but for those that the shell hands to readConfig(). */
function environmentReads(files: readonly Source[]): string[] {
  return files.flatMap(({ path, text }) => {
    if (path === "config.ts") return [];
    let code = codeOf(text);
    if (homeOf(path) === "console") {
      const passed = /\breadConfig\((?:[^()]|\([^()]*\))*\)/g;
      code = code.replace(passed, (call) => call.replace(/\bDeno\.env\.get\b/g, ""));
    }
    return /\bDeno\s*\.\s*env\b|\bDeno\s*\[|\bprocess\.env\b|=\s*Deno\s*[;,]/.test(code)
      ? [`${path} reads the environment`]
      : [];
  });
}

/** The one file that writes to stderr, and makes visible what it writes. */
const SPEAKER = "console/shell.ts";

/** Writes to stderr or the console that do not go through `say` or `draw`. */
function rawWrites(files: readonly Source[]): string[] {
  return files.flatMap(({ path, text }) => {
    let code = codeOf(text);
    if (path === SPEAKER) code = code.replace(/writeFully\(Deno\.stderr, [^\n]*\bvisible\b/g, "");
    const raw = [
      /\bDeno\s*\.\s*stderr\b(?!\.isTerminal\(\))/,
      /\bconsole\s*(\?\.|[.[])|=\s*console\b/,
      /\bprocess\s*\.\s*(stderr|stdout)\b|\bemitWarning\b/,
      /\/dev\/(stderr|tty)|\b(alert|reportError)\(/,
      /[{,]\s*(stderr|console)\b[^}]*\}\s*=\s*(Deno|globalThis|process)\b/,
    ];
    return raw.some((pattern) => pattern.test(code)) ? [`${path} writes to stderr itself`] : [];
  });
}

/** The commands' doors and the scripts, which stand beside src/. */
function besideSources(): Source[] {
  const scripts = [...Deno.readDirSync(new URL("scripts/", ROOT))].map(({ name }) => name);
  return ["cli.ts", "server.ts", ...scripts.map((name) => `scripts/${name}`)].map((path) => (
    { path, text: Deno.readTextFileSync(new URL(path, ROOT)) }
  ));
}

/** Exports without a JSDoc comment right above them. */
function undocumentedExports({ path, text }: Source): string[] {
  const lines = text.split("\n");
  return lines.flatMap((line, n) => {
    if (!/^export\b/.test(line)) return [];
    if (n > 0 && lines[n - 1].trimEnd().endsWith("*/")) {
      let first = n - 1;
      while (first > 0 && !lines[first].includes("/*")) first--;
      if (lines[first].trimStart().startsWith("/**")) return [];
    }
    return [`${path}:${n + 1} ${line}`];
  });
}

const inFolder = (folder: string) => SOURCES.filter(({ path }) => homeOf(path) === folder);

Deno.test("Every file under src/ imports along the arrows only", () => {
  assert.ok(SOURCES.length > 30, `only ${SOURCES.length} files were found`);
  assert.deepEqual(importFaults(SOURCES), []);
});

Deno.test("src/core is pure and synchronous: no runtime, clock, chance, or promise", () => {
  assert.deepEqual(wordsIn(inFolder("core"), [...IMPURE, ...ASYNCHRONOUS]), []);
});

for (const room of ["formats", "tables", "generate", "audit"]) {
  Deno.test(`src/${room} is pure: no runtime, clock or chance`, () => {
    assert.ok(inFolder(room).length > 0);
    assert.deepEqual(wordsIn(inFolder(room), IMPURE), []);
  });
}

for (const room of ["api", "browser", "engine", "replay"]) {
  Deno.test(`src/${room} runs on any edge runtime: no Deno global`, () => {
    assert.ok(inFolder(room).length > 0);
    assert.deepEqual(wordsIn(inFolder(room), [/\bDeno\b/]), []);
  });
}

Deno.test("The toolkit is synchronous and knows no runtime; its clock alone is a default", () => {
  const files = SOURCES.filter(({ path }) => homeOf(path).startsWith("toolkit"));
  assert.ok(files.length > 1);
  assert.deepEqual(wordsIn(files, [...IMPURE, ...ASYNCHRONOUS]), [
    "toolkit/options.ts uses Date.now",
  ]);
});

/** A file under src/ and all that it imports there, however far. */
function closureOf(entry: string): Source[] {
  const reached = new Map<string, Source>();
  const visit = (path: string) => {
    const source = SOURCES.find((each) => each.path === path);
    if (source === undefined || reached.has(path)) return;
    reached.set(path, source);
    for (const specifier of importsOf(source.text)) {
      if (specifier.startsWith(".")) visit(resolvePath(path, specifier).slice("src/".length));
    }
  };
  visit(entry);
  return [...reached.values()];
}

Deno.test("No door but ./cli leads to a file that knows Deno, Node or a package but Hono", () => {
  const { exports } = JSON.parse(Deno.readTextFileSync(new URL("deno.json", ROOT)));
  const doors = Object.entries<string>(exports).filter(([door]) => door !== "./cli");
  assert.ok(doors.length > 5);
  for (const [door, path] of doors) {
    const files = closureOf(path.replace("./src/", ""));
    assert.ok(files.length > 0, `${door}: no ${path}`);
    assert.deepEqual(wordsIn(files, [/\bDeno\b/, /\bprocess\./]), [], door);
    const packages = files.flatMap(({ text }) => importsOf(text))
      .filter((specifier) => !specifier.startsWith(".") && !/^hono(\/|$)/.test(specifier));
    assert.deepEqual(packages, [], door);
  }
});

Deno.test("Only src/config.ts reads the environment", () => {
  assert.deepEqual(environmentReads(SOURCES), []);
});

Deno.test("Only say() and draw() write to stderr, and they make visible what they write", () => {
  assert.ok(SOURCES.some(({ path }) => path === SPEAKER), `${SPEAKER} is not there`);
  assert.deepEqual(rawWrites([...SOURCES, ...besideSources()]), []);
});

Deno.test("No file under src/ is longer than 400 lines", () => {
  const long = SOURCES.map(({ path, text }) => ({ path, lines: text.split("\n").length - 1 }))
    .filter(({ lines }) => lines > LINES_MAX);
  assert.deepEqual(long, []);
});

/** Functions and methods longer than the limit; the formatter puts their ends under their starts. */
function longFunctions({ path, text }: Source): string[] {
  if (!path.endsWith(".ts")) return [];
  const lines = text.split("\n");
  const head = /^( *)(?:export |async |static |private |get |set )*(?:function\b|(?<= )[#*\w]+\()/;
  return lines.flatMap((line, first) => {
    const indent = head.exec(line)?.[1].length;
    if (indent === undefined) return [];
    const last = lines.findIndex((each, n) =>
      n > first && each.search(/\S/) >= 0 && each.search(/\S/) <= indent && !/^ *\)/.test(each)
    );
    return last - first + 1 > FUNCTION_LINES_MAX && lines[last].trim() === "}"
      ? [`${path}:${first + 1}: ${last - first + 1} lines`]
      : [];
  });
}

Deno.test(`No function under src/ is longer than ${FUNCTION_LINES_MAX} lines`, () => {
  const body = "  a;\n".repeat(FUNCTION_LINES_MAX);
  const sample = { path: "a.ts", text: `export function f(): void {\n${body}}\n` };
  assert.equal(longFunctions(sample).length, 1);
  assert.deepEqual(SOURCES.flatMap(longFunctions), []);
});

Deno.test("No file under src/ is a barrel or a drawer of utilities", () => {
  const barrels = SOURCES.filter(({ text }) => /^export\s*\*/m.test(codeOf(text)));
  assert.deepEqual(barrels.map(({ path }) => path), []);
  const drawers = SOURCES.filter(({ path }) => /(^|[/_])(utils?|mod|index)\.\w+$/.test(path));
  assert.deepEqual(drawers.map(({ path }) => path), []);
});

Deno.test("The fields of raw records are written out as JSON in src/core/wire alone", () => {
  const field = /"(type|meter_id|timestamp|consumption_kwh|received_at|final)\\?":/;
  const found = wordsIn(SOURCES, [field]).filter((fault) => !fault.startsWith("core/wire/"));
  assert.deepEqual(found, []);
  assert.ok(wordsIn(SOURCES, [field]).some((fault) => fault.startsWith("core/wire/raw_record.ts")));
});

Deno.test("Every export of src/core has a JSDoc comment", () => {
  assert.deepEqual(inFolder("core").flatMap(undocumentedExports), []);
});

/** `[path, code, whether it is refused]`: what this file itself must notice, and must let be. */
const SAMPLES: [path: string, text: string, refused: boolean][] = [
  ["core/a.ts", `import { x } from "./b.ts";`, false],
  ["core/a.ts", `import type { X } from "../engine/ports.ts";`, true],
  ["core/a.ts", `import {\n  x,\n  y,\n} from "node:assert";`, true],
  ["core/a.ts", `const x = await import("npm:yaml@2");`, true],
  ["core/a.ts", `export { x } from "../config.ts";`, true],
  ["core/a.ts", `import "../../cli.ts";`, true],
  ["core/a.ts", `// import { x } from "node:fs";\n/* import "npm:y"; */`, false],
  ["formats/a.ts", `import { x } from "../core/time.ts";`, false],
  ["formats/a.ts", `import { x } from "../replay/block.ts";`, true],
  ["engine/a.ts", `import { x } from "../adapters/sqlite/store.ts";`, true],
  ["replay/a.ts", `import { x } from "../engine/ports.ts";`, false],
  ["replay/a.ts", `import { x } from "../adapters/memory/store.ts";`, true],
  ["api/a.ts", `import { Hono } from "hono";`, false],
  ["api/a.ts", `import { x } from "hono/streaming";`, false],
  ["api/a.ts", `import { x } from "honolulu";`, true],
  ["api/a.ts", `import { x } from "../formats/csv.ts";`, true],
  ["api/a.ts", `import { x } from "../../sql/001_init.sql";`, true],
  ["api/a.ts", `import css from "./page/page.css" with { type: "text" };`, false],
  ["adapters/sqlite/store.ts", `import { x } from "./client.ts";`, false],
  ["adapters/sqlite/store.ts", `import { x } from "../../tables/migrations.ts";`, false],
  ["adapters/sqlite/store.ts", `import { x } from "../kafka/log.ts";`, true],
  ["adapters/kafka/log.ts", `new Worker(import.meta.resolve("../sqlite/writer_thread.ts"))`, true],
  [
    "adapters/kafka/log.ts",
    `new Worker(new URL("../sqlite/writer_thread.ts", import.meta.url))`,
    true,
  ],
  ["adapters/kafka/log.ts", `import { x } from "../../api/app.ts";`, true],
  ["tables/a.ts", `import x from "../../sql/001_init.sql" with { type: "text" };`, false],
  ["tables/a.ts", `import { x } from "../api/ports.ts";`, true],
  ["generate/a.ts", `import { x } from "../replay/block.ts";`, true],
  ["engine/a.ts", `import x from "../../sql/001_init.sql" with { type: "text" };`, true],
  ["adapters/sqlite/store.ts", `import { x } from "../../config.ts";`, true],
  ["judging.ts", `import { x } from "./config.ts";`, true],
  ["toolkit.ts", `import { x } from "./toolkit/options.ts";`, false],
  ["toolkit.ts", `import { x } from "./engine/task.ts";`, true],
  ["toolkit/a.ts", `import { x } from "../config.ts";`, true],
  ["engine/a.ts", `import { x } from "../toolkit.ts";`, true],
  ["console/a.ts", `import { x } from "../setup/kafka.ts";`, true],
  ["setup/a.ts", `import { x } from "../commands/run.ts";`, true],
  ["config.ts", `import { parse } from "yaml";`, false],
  ["config.ts", `import { x } from "./formats/csv.ts";`, true],
  ["commands/run.ts", `import { parse } from "yaml";`, true],
  ["commands/run.ts", `import { x } from "../config.ts";`, false],
  ["commands/run.ts", `import { x } from "../../server.ts";`, true],
  ["commands/run.ts", `new URL("../../", import.meta.url)`, false],
  ["core/a.ts", `new URL("../../data/", import.meta.url)`, true],
  ["elsewhere/a.ts", `import { x } from "./b.ts";`, true],
];

Deno.test("The arrows are seen in every way of importing, and not in comments", () => {
  for (const [path, text, refused] of SAMPLES) {
    assert.equal(importFaults([{ path, text }]).length > 0, refused, `${path}: ${text}`);
  }
});

Deno.test("Reads of the environment are seen, but for what the shell gives to readConfig()", () => {
  const samples: [path: string, text: string, reads: boolean][] = [
    ["config.ts", `Deno.env.get("X")`, false],
    ["engine/a.ts", `Deno.env.get("X")`, true],
    ["commands/run.ts", `Deno.env.get("X")`, true],
    ["console/shell.ts", `readConfig(null, Deno.env.get)`, false],
    ["console/shell.ts", `readConfig(yaml, (name) => Deno.env.get(name))`, false],
    ["console/shell.ts", `readConfig(yaml, Deno.env.get); Deno.env.toObject()`, true],
    ["commands/run.ts", `readConfig(yaml, Deno.env.get)`, true],
    ["adapters/a.ts", `readConfig(yaml, Deno.env.get)`, true],
    ["adapters/a.ts", `process.env.HOME`, true],
    ["adapters/a.ts", `const { env } = Deno;`, true],
    ["adapters/a.ts", `// Deno.env is for config.ts`, false],
  ];
  for (const [path, text, reads] of samples) {
    assert.equal(environmentReads([{ path, text }]).length > 0, reads, `${path}: ${text}`);
  }
});

Deno.test("Writes to stderr are seen in every way of writing, but for those made visible", () => {
  const samples: [path: string, text: string, writes: boolean][] = [
    ["commands/run.ts", `say("x"); const isTerminal = Deno.stderr.isTerminal();`, false],
    ["commands/run.ts", `import { say } from "../console/shell.ts"; // console.log`, false],
    ["commands/run.ts", `Deno.stderr.writeSync(bytes)`, true],
    ["commands/run.ts", `writeAll(Deno.stderr, bytes)`, true],
    ["commands/run.ts", `const { stderr } = Deno;`, true],
    ["commands/run.ts", `process.stderr.write("x")`, true],
    ["api/app.ts", `console.error(error)`, true],
    ["api/app.ts", `console["error"](error)`, true],
    ["api/app.ts", `const out = console;`, true],
    ["api/app.ts", `const { console } = globalThis;`, true],
    ["engine/a.ts", `Deno.writeTextFileSync("/dev/stderr", "x")`, true],
    [SPEAKER, "writeFully(Deno.stderr, `${visible(text)}\\n`);", false],
    [SPEAKER, "writeFully(Deno.stderr, text);", true],
    ["commands/run.ts", "writeFully(Deno.stderr, visible(text));", true],
  ];
  for (const [path, text, writes] of samples) {
    assert.equal(rawWrites([{ path, text }]).length > 0, writes, `${path}: ${text}`);
  }
});
