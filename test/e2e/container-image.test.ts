/** What the Dockerfile takes along is enough for every word that the documents tell to run there. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { openTemporaryFolder } from "../support/services/temporary-folder.ts";

const ROOT = join(import.meta.dirname, "../..");

/** The sources of the image, copied and removed as the build does; what npm installs is the checkout's. */
function assemble(folder: string): void {
  const lines = buildLines();
  const removed = lines.flatMap((line) => /^RUN rm -rf node_modules\/(\S+)$/.exec(line)?.[1] ?? []);
  for (const line of lines) {
    const [step, ...words] = line.split(" ");
    if (step === "COPY") {
      const to = words.at(-1) ?? "";
      for (const from of words.slice(0, -1)) {
        const isInto = to.endsWith("/");
        cpSync(join(ROOT, from), join(folder, to, isInto ? (from.split("/").at(-1) ?? "") : ""), { recursive: true });
      }
    }
  }
  linkModules(join(ROOT, "node_modules"), join(folder, "node_modules"), new Set(removed));
}

function buildLines(): readonly string[] {
  const lines = readFileSync(join(ROOT, "Dockerfile"), "utf8").split("\n");
  return lines.slice(0, lines.indexOf("FROM debian:bookworm-slim"));
}

/** npm's own links, which lead to the workspaces, lead to those of the folder. */
function linkModules(from: string, to: string, removed: ReadonlySet<string> = new Set()): void {
  mkdirSync(to);
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    if (removed.has(entry.name)) continue;
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isSymbolicLink()) symlinkSync(readlinkSync(source), target);
    else if (entry.name === "@posthaste" || entry.name === ".bin") linkModules(source, target);
    else symlinkSync(source, target);
  }
}

/** What the image puts before its words, without the runtime. */
function entryPoint(): readonly string[] {
  const [, words = "[]"] = /^ENTRYPOINT (\[.*\])$/m.exec(readFileSync(join(ROOT, "Dockerfile"), "utf8")) ?? [];
  return (JSON.parse(words) as readonly string[]).slice(1);
}

const key = Buffer.alloc(32).toString("base64");
const stores = { REDIS_URL: "redis://127.0.0.1:1", KAFKA_BROKERS: "127.0.0.1:1", POSTHASTE_MASTER_KEY: key };

for (const { words, says } of [
  { words: ["gateway"], says: /^gateway: .*(Redis|Kafka) .*not reachable/mu },
  { words: ["processor"], says: /^processor: .*(Redis|Kafka) .*not reachable/mu },
  { words: ["posthaste", "demo"], says: /^posthaste: The payloads of the demo are not installed here/mu },
  { words: ["posthaste", "reseal"], says: /^posthaste: POSTHASTE_MASTER_KEY_PREVIOUS is missing/mu },
] as const) {
  test(`the image runs ${words.join(" ")}`, () => {
    using folder = openTemporaryFolder("image");
    assemble(folder.path);
    // Of Debian alone, as in the image.
    const env = { PATH: "/usr/bin:/bin", NO_COLOR: "1", ...stores };
    const { stdout, stderr } = spawnSync(join(folder.path, "node_modules/.bin/bun"), [...entryPoint(), ...words], {
      cwd: folder.path,
      env,
      encoding: "utf8",
    });
    assert.match(`${stdout}${stderr}`, says);
  });
}

test("no package of the build is in the image that nothing runs there, and each that is removed was there", () => {
  const removed = buildLines().flatMap((line) => /^RUN rm -rf (\S+)$/.exec(line)?.[1] ?? []);
  assert.deepEqual(
    removed,
    ["typescript", "@typescript", "@types", "@octokit"].map((name) => `node_modules/${name}`),
  );
  for (const path of removed) assert.ok(existsSync(join(ROOT, path)), path);
});
