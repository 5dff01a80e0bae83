/** What the Dockerfile takes along is enough for every word that the documents tell to run there. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { openTemporaryFolder } from "../support/services/temporary-folder.ts";

const ROOT = join(import.meta.dirname, "../..");

/** The sources of the image, copied and removed as the build does; what npm installs is the checkout's. */
function assemble(folder: string): void {
  const lines = readFileSync(join(ROOT, "Dockerfile"), "utf8").split("\n");
  for (const line of lines.slice(0, lines.indexOf("FROM debian:bookworm-slim"))) {
    const [step, ...words] = line.split(" ");
    if (step === "COPY") {
      const to = words.at(-1) ?? "";
      for (const from of words.slice(0, -1)) {
        const isInto = to.endsWith("/");
        cpSync(join(ROOT, from), join(folder, to, isInto ? (from.split("/").at(-1) ?? "") : ""), { recursive: true });
      }
    }
    const removed = /^RUN rm -rf (\S+)$/.exec(line)?.[1];
    if (removed !== undefined) rmSync(join(folder, removed), { recursive: true });
  }
  linkModules(join(ROOT, "node_modules"), join(folder, "node_modules"));
}

/** npm's own links, which lead to the workspaces, lead to those of the folder. */
function linkModules(from: string, to: string): void {
  mkdirSync(to);
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isSymbolicLink()) symlinkSync(readlinkSync(source), target);
    else if (entry.name === "@posthaste" || entry.name === ".bin") linkModules(source, target);
    else symlinkSync(source, target);
  }
}

const key = Buffer.alloc(32).toString("base64");
const stores = { REDIS_URL: "redis://127.0.0.1:1", KAFKA_BROKERS: "127.0.0.1:1", POSTHASTE_MASTER_KEY: key };

for (const { words, says } of [
  { words: ["gateway"], says: /^gateway: .*(Redis|Kafka) .*not reachable/mu },
  { words: ["processor"], says: /^processor: .*(Redis|Kafka) .*not reachable/mu },
  { words: ["posthaste", "reseal"], says: /^posthaste: POSTHASTE_MASTER_KEY_PREVIOUS is missing/mu },
] as const) {
  test(`the image runs ${words.join(" ")}`, () => {
    using folder = openTemporaryFolder("image");
    assemble(folder.path);
    // Of Debian alone, as in the image.
    const env = { PATH: "/usr/bin:/bin", NO_COLOR: "1", ...stores };
    const { stdout, stderr } = spawnSync(join(folder.path, "node_modules/.bin/bun"), ["run", ...words], {
      cwd: folder.path,
      env,
      encoding: "utf8",
    });
    assert.match(`${stdout}${stderr}`, says);
  });
}
