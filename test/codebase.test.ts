/** The rules of the codebase over the whole tree, and the proof that each rule bites. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import * as rules from "./support/codebase-rules.ts";
import type { CodebaseRule, SourceFile } from "./support/codebase-rules.ts";
import { functionBodies, maskSource } from "./support/source-scan.ts";

const root = join(import.meta.dirname, "..");
const oxlint = join(root, "node_modules/.bin/oxlint");

function filesUnder(folder: string): SourceFile[] {
  if (!existsSync(join(root, folder))) return [];
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) return ["node_modules", "dist"].includes(entry.name) ? [] : filesUnder(path);
    return entry.name.endsWith(".ts") ? [{ path, text: readFileSync(join(root, path), "utf8") }] : [];
  });
}

const files = rules.FOLDERS.flatMap(filesUnder);

function holds(rule: CodebaseRule): void {
  const violations = files.flatMap(rule).map(rules.describeViolation);
  assert.equal(violations.length, 0, `\n${violations.join("\n")}`);
}

/** The messages of a rule for a made-up file. */
function bites(rule: CodebaseRule, path: string, text: string): readonly string[] {
  return rule({ path, text }).map(rules.describeViolation);
}

/** Each made-up import, "importer -> specifier", and whether the rule refuses it. */
function judgeImports(rule: CodebaseRule, cases: readonly (readonly [string, string, boolean])[]): void {
  for (const [path, specifier, isRefused] of cases) {
    const violations = bites(rule, path, `/** Doc. */\nimport { x } from "${specifier}";\nx();\n`);
    assert.equal(violations.length, isRefused ? 1 : 0, `${path} -> ${specifier}: ${violations.join()}`);
    if (isRefused) assert.match(violations[0] ?? "", new RegExp(`^${path}:2 `));
  }
}

test("every folder of the codebase holds source that the rules read", () => {
  for (const folder of rules.FOLDERS) {
    assert.ok(
      files.some(({ path }) => path.startsWith(`${folder}/`)),
      `${folder}/ holds no .ts file`,
    );
  }
});

test("imports go down the layers only", () => holds(rules.importLayers));
test("one kind of driver never imports another", () => holds(rules.driverKinds));
test("imports are relative within a workspace and by package name across", () => holds(rules.importForm));
test("each module imports only its npm packages", () => holds(rules.packages));
test("the time of day comes in as an argument", () => holds(rules.timeOfDay));
test("functions stay short", () => holds(rules.functionLength));
test("files are named after the thing inside", () => holds(rules.names));

test("importLayers refuses each way up or across, and allows each way down", () => {
  judgeImports(rules.importLayers, [
    ["shared/lib/batcher.ts", "./ambient.ts", false],
    ["shared/lib/batcher.ts", "../domain/event.ts", true],
    ["shared/domain/event.ts", "../lib/assert.ts", false],
    ["shared/domain/event.ts", "../ports/lanes.ts", true],
    ["shared/ports/lanes.ts", "../domain/event.ts", false],
    ["shared/ports/lanes.ts", "../drivers/sqlite/lanes.ts", true],
    ["shared/telemetry/accept.ts", "../lib/ambient.ts", false],
    ["shared/telemetry/accept.ts", "@posthaste/gateway/app.ts", true],
    ["shared/drivers/sqlite/lanes.ts", "../../ports/lanes.ts", false],
    ["shared/drivers/embedded.ts", "@posthaste/processor/delivery/dispatcher.ts", true],
    ["gateway/app.ts", "@posthaste/shared/ports/lanes.ts", false],
    ["gateway/app.ts", "@posthaste/shared/drivers/system.ts", true],
    ["gateway/app.ts", "./routes/events.ts", false],
    ["gateway/app.ts", "@posthaste/processor/delivery/settle.ts", true],
    ["gateway/app.ts", "./main/bun.ts", true],
    ["processor/settle.ts", "@posthaste/gateway/app.ts", true],
    ["processor/settle.ts", "@posthaste/shared/drivers/embedded.ts", true],
    ["gateway/main/bun.ts", "@posthaste/shared/drivers/embedded.ts", false],
    ["gateway/main/bun.ts", "@posthaste/processor/delivery/settle.ts", true],
    ["processor/main/process.ts", "../settle.ts", false],
    ["cli/main/posthaste.ts", "../serve.ts", false],
    ["cli/serve.ts", "@posthaste/gateway/app.ts", false],
    ["cli/serve.ts", "@posthaste/gateway/main/bun.ts", true],
    ["gateway/main/bun.ts", "posthaste/serve.ts", true],
    ["shared/lib/assert.ts", "../../test/support/codebase-rules.ts", true],
    ["cli/demo.ts", "../bench/main.ts", true],
    ["shared/lib/assert.ts", "../misplaced.ts", true],
    ["test/e2e/accept.test.ts", "@posthaste/gateway/main/bun.ts", false],
    ["bench/main.ts", "@posthaste/shared/drivers/redis/lanes.ts", false],
    ["client/client.ts", "./request.ts", false],
    ["client/client.ts", "@posthaste/shared/lib/assert.ts", true],
    ["cli/api/connection.ts", "@posthaste/client/public.ts", false],
    ["gateway/app.ts", "@posthaste/client/client.ts", true],
    ["test/client/request.test.ts", "@posthaste/client/client.ts", false],
    ["examples/typescript/receiver.ts", "node:http", false],
    ["examples/typescript/receiver.ts", "@posthaste/shared/domain/signature.ts", true],
    ["cli/demo.ts", "../examples/typescript/receiver.ts", true],
  ]);
});

test("importLayers sees type imports, re-exports, side effects and dynamic imports", () => {
  for (const line of [
    'import type { X } from "../ports/x.ts";',
    'export { x } from "../ports/x.ts";',
    "export * from '../ports/x.ts';",
    'import "../ports/x.ts";',
    'const x = await import("../ports/x.ts");',
    'import {\n  x,\n} from "../ports/x.ts";',
  ]) {
    assert.equal(bites(rules.importLayers, "shared/domain/a.ts", line).length, 1, line);
  }
  assert.deepEqual(
    bites(rules.importLayers, "shared/domain/a.ts", '// import "../ports/x.ts"\nconst s = `from "../ports/x.ts"`;'),
    [],
  );
});

test("driverKinds refuses one kind in another and lets the sets gather", () => {
  judgeImports(rules.driverKinds, [
    ["shared/drivers/redis/lanes.ts", "./scripts.ts", false],
    ["shared/drivers/redis/lanes.ts", "../kafka/producer.ts", true],
    ["shared/drivers/sqlite/lanes.ts", "../system.ts", true],
    ["shared/drivers/http/transport.ts", "../embedded.ts", true],
    ["shared/drivers/embedded.ts", "./sqlite/lanes.ts", false],
    ["shared/drivers/distributed.ts", "./system.ts", false],
    ["shared/drivers/redis/lanes.ts", "../../ports/lanes.ts", false],
  ]);
});

test("importForm refuses a path out of the workspace, a package name within it and a missing .ts", () => {
  judgeImports(rules.importForm, [
    ["gateway/app.ts", "../shared/lib/assert.ts", true],
    ["gateway/app.ts", "@posthaste/gateway/publish/accept.ts", true],
    ["gateway/app.ts", "./accept", true],
    ["gateway/app.ts", "@posthaste/shared/lib/assert.js", true],
    ["test/domain/id.test.ts", "../../shared/domain/id.ts", true],
    ["test/domain/id.test.ts", "../support/ids.ts", false],
    ["gateway/app.ts", "@posthaste/shared/lib/assert.ts", false],
    ["gateway/app.ts", "hono", false],
  ]);
  assert.equal(bites(rules.importForm, "processor/relay.ts", "await import(name);").length, 1);
});

test("packages refuses what the module's row of the table does not name", () => {
  judgeImports(rules.packages, [
    ["shared/lib/assert.ts", "valibot", true],
    ["shared/lib/assert.ts", "node:crypto", true],
    ["shared/domain/event.ts", "valibot", false],
    ["shared/domain/event.ts", "hono", true],
    ["shared/ports/lanes.ts", "valibot", true],
    ["shared/telemetry/accept.ts", "@opentelemetry/api", false],
    ["shared/telemetry/accept.ts", "@opentelemetry/sdk-metrics", true],
    ["shared/drivers/redis/lanes.ts", "ioredis", false],
    ["shared/drivers/http/transport.ts", "undici", true],
    ["shared/drivers/http/transport.ts", "undici-npm", false],
    ["shared/drivers/sqlite/lanes.ts", "bun:sqlite", true],
    ["shared/drivers/sqlite/lanes.ts", "node:sqlite", false],
    ["gateway/app.ts", "hono/body-limit", false],
    ["gateway/app.ts", "node:fs", true],
    ["processor/settle.ts", "valibot", true],
    ["client/request.ts", "undici-npm", true],
    ["client/receivers.ts", "hono", true],
    ["gateway/main/node.ts", "node:http", false],
    ["test/e2e/guard.test.ts", "undici", true],
  ]);
});

test("timeOfDay refuses the present Date below the drivers, and no other", () => {
  for (const code of ["new Date()", "new Date( /* now */ )", "new Date", "Date()"]) {
    assert.match(
      bites(rules.timeOfDay, "gateway/accept.ts", `f();\nf(${code});`)[0] ?? "",
      /^gateway\/accept.ts:2 /,
      code,
    );
    assert.deepEqual(bites(rules.timeOfDay, "shared/drivers/system.ts", code), []);
    assert.deepEqual(bites(rules.timeOfDay, "gateway/main/bun.ts", code), []);
  }
  for (const code of ["new Date(atMs)", 'new Date("2026-01-01")', '"new Date()"', "// Date()\n1"]) {
    assert.deepEqual(bites(rules.timeOfDay, "gateway/accept.ts", `f(${code}\n);`), [], code);
  }
});

/** What the linter refuses in one made-up file, by its own configuration: `line rule`. */
function lint(path: string, text: string): readonly string[] {
  const folder = mkdtempSync(join(tmpdir(), "posthaste-lint-"));
  try {
    copyFileSync(join(root, ".oxlintrc.json"), join(folder, ".oxlintrc.json"));
    mkdirSync(join(folder, dirname(path)), { recursive: true });
    writeFileSync(join(folder, path), text);
    const { stdout } = spawnSync(oxlint, ["-f", "unix", "."], { cwd: folder, encoding: "utf8" });
    return [...stdout.matchAll(/^[^:\n]+:(\d+):.*\/[a-z]+\(([a-z-]+)\)\]$/gm)].map(
      ([, line, rule]) => `${line} ${rule}`,
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test("the linter refuses clocks, chance, timers, hashing, network and environment below the drivers", () => {
  const refused = [
    "Date.now()",
    "`${Date.now()}`",
    "Math.random()",
    "setTimeout(f, 1)",
    "setInterval(f, 1)",
    "setImmediate(f)",
    "queueMicrotask(f)",
    "performance.now()",
    "crypto.randomUUID()",
    "fetch(url)",
    "f(fetch)",
    "process.env",
    "globalThis.setTimeout(f, 1)",
    "Bun.sleep(1)",
    "Deno.env",
  ];
  const text = refused.map((code) => `f(${code});\n`).join("");
  const linesOf = (path: string): readonly number[] =>
    [...new Set(lint(path, text).map((found) => Number(found.split(" ")[0])))].toSorted((a, b) => a - b);
  for (const path of ["gateway/accept.ts", "processor/settle.ts", "shared/domain/event.ts", "shared/lib/fifo.ts"]) {
    assert.deepEqual(
      linesOf(path),
      refused.map((_, index) => index + 1),
      path,
    );
  }
  for (const path of ["shared/drivers/system.ts", "gateway/main/bun.ts", "test/a.test.ts"]) {
    assert.deepEqual(linesOf(path), [], path);
  }
  const allowed = 'f(app.fetch(request), clock.now(), "Date.now()", { process: 1 }, socket.setTimeout(1));\n';
  assert.deepEqual(lint("gateway/accept.ts", allowed), []);
});

test("the linter allows 250 lines of source and 400 of tests, and not one more", () => {
  const lines = (count: number): string => "x();\n".repeat(count);
  assert.deepEqual(lint("gateway/app.ts", lines(250)), []);
  assert.deepEqual(lint("gateway/app.ts", lines(251)), ["251 max-lines"]);
  assert.deepEqual(lint("bench/main.ts", lines(400)), []);
  assert.deepEqual(lint("bench/main.ts", lines(401)), ["401 max-lines"]);
});

test("the linter refuses other cases, default exports, any, and silenced compilers", () => {
  for (const name of ["EndpointGate.ts", "endpoint_gate.ts"]) {
    assert.deepEqual(lint(`gateway/${name}`, "x();\n"), ["1 filename-case"], name);
  }
  for (const name of ["endpoint-gate.ts", "lanes.contract.ts", "json-span.test.ts"]) {
    assert.deepEqual(lint(`test/contract/${name}`, "x();\n"), [], name);
  }
  assert.deepEqual(lint("gateway/app.ts", "export default app;\n"), ["1 no-default-export"]);
  assert.deepEqual(lint("gateway/app.ts", "export { app as default };\n"), ["1 no-default-export"]);
  assert.deepEqual(lint("gateway/main/worker.ts", "export default app;\n"), []);
  for (const code of ["f(x as any);", "f<any>();", "f(new Map<string, any>());"]) {
    assert.deepEqual(lint("test/support/a.ts", `${code}\n`), ["1 no-explicit-any"], code);
  }
  for (const comment of ["// @ts".concat("-ignore"), "/* @ts".concat("-ignore */"), "// @ts".concat("-nocheck")]) {
    assert.deepEqual(lint("test/support/a.ts", `${comment}\nx();\n`), ["1 ban-ts-comment"], comment);
  }
});

test("functionLength allows 70 lines of any function, and not one more", () => {
  const headers = [
    "function named(a: number) ",
    "export async function typed<T>(a: T): Promise<Map<string, { a: T }>> ",
    "function object(): { a: number } ",
    "function narrowed(a: unknown): a is string | null ",
    "const arrow = (a: number): number => ",
    "const o = { method(a: { b: string }) ",
  ];
  for (const header of headers) {
    const body = (lines: number): string => `${header}{\n${"  x({ a: `${1}` });\n".repeat(lines - 2)}}\n`;
    assert.deepEqual(bites(rules.functionLength, "gateway/app.ts", body(70)), [], header);
    assert.match(
      bites(rules.functionLength, "gateway/app.ts", body(71))[0] ?? "",
      /^gateway\/app.ts:1 .* 71 lines/,
      header,
    );
  }
});

test("functionLength measures a function without the functions nested in it", () => {
  const nested = (lines: number): string => `  const inner = () => {\n${"    y();\n".repeat(lines - 2)}  };\n`;
  const outer = (own: number, inner: string): string => `function f() {\n${"  x();\n".repeat(own - 2)}${inner}}\n`;
  const linesOf = (text: string): readonly number[] => functionBodies(maskSource(text)).map(({ lines }) => lines);
  // The line on which the nested one begins counts for both.
  assert.deepEqual(linesOf(outer(60, nested(50))), [50, 61]);
  assert.deepEqual(linesOf(outer(60, `  if (a) {\n${nested(50)}  }\n`)), [50, 63]);
  assert.deepEqual(linesOf(outer(10, "  const one = () => { y(); };\n")), [1, 11]);
  assert.equal(bites(rules.functionLength, "gateway/app.ts", outer(71, nested(50))).length, 1);
  assert.equal(bites(rules.functionLength, "gateway/app.ts", outer(20, nested(71))).length, 1);
});

test("functionLength exempts describe bodies and contracts, and nothing else that is long", () => {
  const body = `{\n${"  x();\n".repeat(90)}}`;
  const isLong = (path: string, text: string): boolean => bites(rules.functionLength, path, text).length > 0;
  assert.ok(!isLong("test/domain/id.test.ts", `describe("ids", () => ${body});`));
  assert.ok(isLong("test/domain/id.test.ts", `test("ids", () => ${body});`));
  assert.ok(!isLong("test/contract/lanes.contract.ts", `export function lanesContract(name: string): void ${body}`));
  assert.ok(isLong("gateway/lanes.ts", `export function lanesContract(name: string): void ${body}`));
});

test("blocks, types and literals are not functions", () => {
  const code = [
    "if (a) { x(); } else { y(); }",
    "for (const a of b()) { x(); }",
    "class A extends B<C> { }",
    "interface D { a(): number; }",
    "const e = a ? f(b) : { c: 1 };",
    "const g = a ? f(b) : `${h}`;",
    "try { x(); } catch (error) { y(); }",
    "switch (a) { case f(b): return { c: 1 }; }",
  ];
  for (const line of code) assert.deepEqual(functionBodies(maskSource(line)), [], line);
});

test("maskSource blanks words that only look like code and keeps the text's length", () => {
  const text = "const a = /[/\"]{/g; // {\nconst b = `{${c({ d: '}' })}{`; /* } */ const e = f / g / 2;";
  const masked = maskSource(text);
  assert.equal(masked.length, text.length);
  assert.equal(masked.replaceAll(/\s+/g, " "), "const a = / /g; const b = ` ${c({ d: ' ' })} `; const e = f / g / 2;");
});

test("names refuses what says nothing, and folders in another case", () => {
  for (const name of ["utils.ts", "helpers.ts", "types.ts", "index.ts"]) {
    assert.equal(bites(rules.names, `gateway/publish/${name}`, "").length, 1, name);
  }
  assert.equal(bites(rules.names, "gateway/Publish/a.ts", "").length, 1);
  assert.deepEqual(bites(rules.names, "test/contract/lanes.contract.ts", ""), []);
});
