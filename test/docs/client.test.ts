/** The client as a package: what is built and its size, and the programs of docs/client.md with it, on a real Posthaste. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, test } from "node:test";
import { pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";
import { Webhook as Reference } from "standardwebhooks";
import { openFolder, spawnWatched, startServe, TEST_KEY } from "../e2e/posthaste-child.ts";

const root = join(import.meta.dirname, "../..");
const SECRET = `whsec_${Buffer.alloc(32, 7).toString("base64")}`;
const BODY = '{"type":"invoice.paid","timestamp":"2026-01-31T00:00:00Z","data":{"total":12.50}}';

/** Bytes after minifying and gzip, at most. */
const SIZES = [
  { what: "everything", code: "export * from", bytesMax: 7168 },
  { what: "the calls", code: "export { createClient } from", bytesMax: 4608 },
  { what: "verify", code: "export { verify } from", bytesMax: 2048 },
] as const;

/** The package as npm packs it, installed in a project that has the programs of the guide beside it. */
const project = openFolder();
after(() => project[Symbol.dispose]());
const installed = join(project.path, "node_modules/@posthaste/client");
install();

function install(): void {
  const source = join(project.path, "source");
  cpSync(join(root, "client"), source, {
    recursive: true,
    filter: (path) => !/\/client\/(?:dist|node_modules)$/.test(path),
  });
  cpSync(join(root, "tsconfig.json"), join(project.path, "tsconfig.json"));
  run(join(root, "node_modules/.bin/tsc"), ["-p", "tsconfig.package.json"], source);
  const packed = run("npm", ["pack", "--ignore-scripts", "--json", "--pack-destination", project.path], source);
  const [{ filename } = { filename: "" }] = JSON.parse(packed) as readonly { readonly filename: string }[];
  mkdirSync(installed, { recursive: true });
  run("tar", ["-xzf", join(project.path, filename), "-C", installed, "--strip-components=1"], project.path);
  for (const name of ["hono", "express", "fastify", "@types"]) {
    symlinkSync(join(root, "node_modules", name), join(project.path, "node_modules", name));
  }
  writeFileSync(join(project.path, "package.json"), '{"type":"module"}');
  const guide = readFileSync(join(root, "docs/client.md"), "utf8");
  for (const [, name = "", code = ""] of guide.matchAll(/^```ts ([\w-]+)\n([\s\S]*?)^```$/gm)) {
    writeFileSync(join(project.path, `${name}.ts`), code);
  }
}

function run(file: string, words: readonly string[], cwd: string): string {
  const { status, stdout, stderr, error } = spawnSync(file, words, { cwd, encoding: "utf8" });
  assert.equal(status, 0, `${file} ${words.join(" ")}: ${error?.message ?? ""}${stdout}${stderr}`);
  return stdout;
}

const program = (name: string): string => join(project.path, `${name}.ts`);

test("the package holds what its entry points name, in JavaScript with types, and no source", () => {
  const files = readdirSync(installed, { recursive: true, encoding: "utf8" });
  for (const name of ["package.json", "README.md", "dist/public.js", "dist/public.d.ts"])
    assert.ok(files.includes(name), name);
  assert.deepEqual(
    files.filter((name) => /(?<!\.d)\.ts$/.test(name)),
    [],
  );
});

test("the package runs on the Node that npm runs on", () => {
  const code = `
    import { createClient, verify } from "@posthaste/client";
    const client = createClient({ url: "http://127.0.0.1:1", apiKey: "k", triesMax: 1 });
    const error = await client.publish({ type: "a", data: 1 }).catch((thrown) => thrown);
    const refusal = await verify("", {}, { secret: "${SECRET}" }).catch((thrown) => thrown);
    console.log(error.name, refusal.code);`;
  assert.equal(run("node", ["--input-type=module", "-e", code], project.path), "NoAnswerError missing-header\n");
});

for (const { what, code, bytesMax } of SIZES) {
  test(`${what}: at most ${bytesMax} bytes gzipped`, async () => {
    const entry = join(project.path, `size-${bytesMax}.js`);
    writeFileSync(entry, `${code} "@posthaste/client";`);
    const { outputs } = await Bun.build({ entrypoints: [entry], minify: true, target: "browser" });
    const bytes = gzipSync((await outputs[0]?.text()) ?? "").length;
    assert.ok(bytes > 500 && bytes <= bytesMax, `${bytes} bytes`);
  });
}

test("the programs of the guide fit the types of the package", () => {
  const names = ["publish", "batch", "manage", "receive-hono", "receive-express", "receive-fastify", "verify"];
  const options = {
    target: "esnext",
    module: "nodenext",
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    types: ["node"],
  };
  const files = names.map((name) => `${name}.ts`);
  writeFileSync(join(project.path, "guide.json"), JSON.stringify({ compilerOptions: options, files }));
  run(join(root, "node_modules/.bin/tsc"), ["-p", "guide.json"], project.path);
});

test("the programs of the guide: an endpoint is made, events are published, and its receiver verifies them", async () => {
  using folder = openFolder();
  await using posthaste = await startServe(folder.path);
  const { promise: received, resolve: receive } = Promise.withResolvers<number>();
  let hooks: { fetch(request: Request): Response | Promise<Response> } | null = null;
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const answer = (await hooks?.fetch(request)) ?? new Response(null, { status: 503 });
      receive(answer.status);
      return answer;
    },
  });
  const env = { POSTHASTE_URL: posthaste.url, POSTHASTE_KEY: TEST_KEY, HOOK_URL: `${server.url.href}hooks` };
  await using managing = spawnWatched(process.execPath, [program("manage")], env);
  assert.equal((await managing.exited).code, 0, managing.printed.stderr);
  process.env["WEBHOOK_SECRET"] = /^keep the secret: (whsec_\S+)$/m.exec(managing.printed.stdout)?.[1] ?? "";
  ({ app: hooks } = (await import(pathToFileURL(program("receive-hono")).href)) as { app: typeof hooks });
  await using publishing = spawnWatched(process.execPath, [program("publish")], env);
  assert.equal((await publishing.exited).code, 0, publishing.printed.stderr);
  assert.match(publishing.printed.stdout, /^published evt_\w+ to high\n$/);
  assert.equal(await received, 204);
  await server.stop(true);

  await using batching = spawnWatched(process.execPath, [program("batch")], env);
  assert.equal((await batching.exited).code, 0, batching.printed.stderr);
  assert.match(batching.printed.stdout, /^published evt_\w+\nrefused: .*type.*\n$/);
});

test("the receivers and the verification of the guide take what is genuine and refuse all else", async () => {
  process.env["WEBHOOK_SECRET"] = SECRET;
  const { app } = (await import(pathToFileURL(program("receive-fastify")).href)) as {
    app: { inject(request: object): Promise<{ statusCode: number }>; close(): Promise<void> };
  };
  const { statusFor } = (await import(pathToFileURL(program("verify")).href)) as {
    statusFor: (body: Uint8Array, headers: Record<string, string>) => Promise<number>;
  };
  const nowMs = Date.now();
  const headers = {
    "content-type": "application/json",
    "webhook-id": "evt_1",
    "webhook-timestamp": String(Math.floor(nowMs / 1000)),
    "webhook-signature": new Reference(SECRET).sign("evt_1", new Date(nowMs), BODY),
  };
  for (const [payload, status] of [
    [BODY, 204],
    [BODY.replace("12.50", "12.5"), 401],
  ] as const) {
    assert.equal((await app.inject({ method: "POST", url: "/hooks", headers, payload })).statusCode, status);
    assert.equal(await statusFor(Buffer.from(payload), headers), status);
  }
  await app.close();
  const { app: hooks } = (await import(pathToFileURL(program("receive-express")).href)) as { app: RequestListener };
  const server = createServer(hooks);
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const answer = await fetch(`http://127.0.0.1:${port}/hooks`, { method: "POST", headers, body: BODY });
  assert.equal(answer.status, 204);
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});
