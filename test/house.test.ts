/** The rules of the house over the whole tree, and the proof that each rule bites. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import * as house from "./support/house-rules.ts";
import type { HouseRule, SourceFile } from "./support/house-rules.ts";
import { functionBodies, maskSource } from "./support/source-scan.ts";

const root = join(import.meta.dirname, "..");

function filesUnder(folder: string): SourceFile[] {
  if (!existsSync(join(root, folder))) return [];
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) return entry.name === "node_modules" ? [] : filesUnder(path);
    return entry.name.endsWith(".ts") ? [{ path, text: readFileSync(join(root, path), "utf8") }] : [];
  });
}

const files = house.FOLDERS.flatMap(filesUnder);

function holds(rule: HouseRule): void {
  const violations = files.flatMap(rule).map(house.describeViolation);
  assert.equal(violations.length, 0, `\n${violations.join("\n")}`);
}

/** The messages of a rule for a planted file. */
function bites(rule: HouseRule, path: string, text: string): readonly string[] {
  return rule({ path, text }).map(house.describeViolation);
}

/** Each planted import, "importer -> specifier", and whether the rule refuses it. */
function judgeImports(rule: HouseRule, cases: readonly (readonly [string, string, boolean])[]): void {
  for (const [path, specifier, isRefused] of cases) {
    const violations = bites(rule, path, `/** Doc. */\nimport { x } from "${specifier}";\nx();\n`);
    assert.equal(violations.length, isRefused ? 1 : 0, `${path} -> ${specifier}: ${violations.join()}`);
    if (isRefused) assert.match(violations[0] ?? "", new RegExp(`^${path}:2 `));
  }
}

test("every folder of the house holds source that the rules read", () => {
  for (const folder of house.FOLDERS) {
    assert.ok(
      files.some(({ path }) => path.startsWith(`${folder}/`)),
      `${folder}/ holds no .ts file`,
    );
  }
});

test("imports go down the rungs only", () => holds(house.importRungs));
test("one kind of driver never imports another", () => holds(house.driverKinds));
test("imports are relative within a workspace and by package name across", () => holds(house.importForm));
test("each room imports only its npm packages", () => holds(house.packages));
test("time, chance, hashing, network and environment come in as arguments", () => holds(house.globals));
test("files stay short", () => holds(house.fileLength));
test("functions stay short", () => holds(house.functionLength));
test("files are named after the thing inside, in kebab-case", () => holds(house.fileNames));
test("exports have names", () => holds(house.namedExports));
test("nothing is any", () => holds(house.noAny));

test("importRungs refuses each way up or across, and allows each way down", () => {
  judgeImports(house.importRungs, [
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
    ["shared/lib/assert.ts", "../../test/support/house-rules.ts", true],
    ["cli/demo.ts", "../bench/main.ts", true],
    ["shared/lib/assert.ts", "../misplaced.ts", true],
    ["test/e2e/accept.test.ts", "@posthaste/gateway/main/bun.ts", false],
    ["bench/main.ts", "@posthaste/shared/drivers/redis/lanes.ts", false],
  ]);
});

test("importRungs sees type imports, re-exports, side effects and dynamic imports", () => {
  for (const line of [
    'import type { X } from "../ports/x.ts";',
    'export { x } from "../ports/x.ts";',
    "export * from '../ports/x.ts';",
    'import "../ports/x.ts";',
    'const x = await import("../ports/x.ts");',
    'import {\n  x,\n} from "../ports/x.ts";',
  ]) {
    assert.equal(bites(house.importRungs, "shared/domain/a.ts", line).length, 1, line);
  }
  assert.deepEqual(
    bites(house.importRungs, "shared/domain/a.ts", '// import "../ports/x.ts"\nconst s = `from "../ports/x.ts"`;'),
    [],
  );
});

test("driverKinds refuses one kind in another and lets the sets gather", () => {
  judgeImports(house.driverKinds, [
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
  judgeImports(house.importForm, [
    ["gateway/app.ts", "../shared/lib/assert.ts", true],
    ["gateway/app.ts", "@posthaste/gateway/publish/accept.ts", true],
    ["gateway/app.ts", "./accept", true],
    ["gateway/app.ts", "@posthaste/shared/lib/assert.js", true],
    ["test/domain/id.test.ts", "../../shared/domain/id.ts", true],
    ["test/domain/id.test.ts", "../support/ids.ts", false],
    ["gateway/app.ts", "@posthaste/shared/lib/assert.ts", false],
    ["gateway/app.ts", "hono", false],
  ]);
  assert.equal(bites(house.importForm, "processor/relay.ts", "await import(name);").length, 1);
});

test("packages refuses what the room's row of the table does not name", () => {
  judgeImports(house.packages, [
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
    ["gateway/main/node.ts", "node:http", false],
    ["test/e2e/guard.test.ts", "undici", true],
  ]);
});

test("globals refuses clocks, chance, timers, hashing, network and environment", () => {
  const refused = [
    "Date.now()",
    "new Date()",
    "new Date( /* now */ )",
    "Date()",
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
    "`${Date.now()}`",
  ];
  for (const code of refused) {
    assert.match(
      bites(house.globals, "gateway/accept.ts", `f();\nf(${code});`)[0] ?? "",
      /^gateway\/accept.ts:2 /,
      code,
    );
    assert.deepEqual(bites(house.globals, "shared/drivers/system.ts", code), []);
    assert.deepEqual(bites(house.globals, "gateway/main/bun.ts", code), []);
  }
  const allowed = [
    "new Date(atMs)",
    'new Date("2026-01-01")',
    "app.fetch(request)",
    "socket.setTimeout(1)",
    "clock.now()",
  ];
  const words = [
    '"Date.now()"',
    "// Math.random()\n1",
    "/setTimeout()/.test(s)",
    "{ process: 1, crypto: 2 }",
    "processor.stop()",
  ];
  for (const code of [...allowed, ...words]) {
    assert.deepEqual(bites(house.globals, "gateway/accept.ts", `f(${code}\n);`), [], code);
  }
});

test("fileLength allows 250 lines of source and 400 of tests, and not one more", () => {
  const lines = (count: number): string => "x;\n".repeat(count);
  assert.deepEqual(bites(house.fileLength, "gateway/app.ts", lines(250)), []);
  assert.match(bites(house.fileLength, "gateway/app.ts", lines(251))[0] ?? "", /^gateway\/app.ts:251 251 lines/);
  assert.deepEqual(bites(house.fileLength, "bench/main.ts", lines(400)), []);
  assert.equal(bites(house.fileLength, "bench/main.ts", lines(401)).length, 1);
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
    assert.deepEqual(bites(house.functionLength, "gateway/app.ts", body(70)), [], header);
    assert.match(
      bites(house.functionLength, "gateway/app.ts", body(71))[0] ?? "",
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
  assert.equal(bites(house.functionLength, "gateway/app.ts", outer(71, nested(50))).length, 1);
  assert.equal(bites(house.functionLength, "gateway/app.ts", outer(20, nested(71))).length, 1);
});

test("functionLength exempts describe bodies and contracts, and nothing else that is long", () => {
  const body = `{\n${"  x();\n".repeat(90)}}`;
  const isLong = (path: string, text: string): boolean => bites(house.functionLength, path, text).length > 0;
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

test("fileNames refuses other cases and names that say nothing", () => {
  for (const name of [
    "EndpointGate.ts",
    "endpoint_gate.ts",
    "utils.ts",
    "helpers.ts",
    "types.ts",
    "index.ts",
    "a-.ts",
  ]) {
    assert.equal(bites(house.fileNames, `gateway/routes/${name}`, "").length, 1, name);
  }
  assert.equal(bites(house.fileNames, "gateway/Routes/a.ts", "").length, 1);
  for (const name of ["endpoint-gate.ts", "lanes.contract.ts", "json-span.test.ts", "bun.ts"]) {
    assert.deepEqual(bites(house.fileNames, `test/contract/${name}`, ""), [], name);
  }
});

test("namedExports refuses default exports everywhere but in the worker", () => {
  assert.equal(bites(house.namedExports, "gateway/app.ts", "export default app;").length, 1);
  assert.equal(bites(house.namedExports, "gateway/app.ts", "export { app as default };").length, 1);
  assert.deepEqual(bites(house.namedExports, "gateway/main/worker.ts", "export default app;"), []);
});

test("noAny refuses any in each place of a type, and silenced compilers", () => {
  for (const code of [
    "x as any",
    "let a: any",
    "let a: any[]",
    "f<any>()",
    "Map<string, any>",
    "// @ts".concat("-ignore"),
    "/* @ts".concat("-nocheck */"),
  ]) {
    assert.equal(bites(house.noAny, "test/support/a.ts", code).length, 1, code);
  }
  for (const code of ["AbortSignal.any([a])", '"as any"', "{ a: 1, any: 2 }", "// any", "let many: Company"]) {
    assert.deepEqual(bites(house.noAny, "test/support/a.ts", code), [], code);
  }
});
