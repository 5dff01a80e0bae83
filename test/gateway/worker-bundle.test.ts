/** The worker as it is deployed: one file, small, and with nothing that is not in workerd. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { buildWorker } from "@posthaste/gateway/main/build-worker.ts";

/** Cloudflare takes 3 MiB. 4 KiB of it are for stats by the minute and the portal, 8 KiB came with the catalogue of event types: schemas are interpreted where events are accepted. */
const GZIP_BYTES_MAX = 172 * 1024;
/** What it uses of Node's, all of which workerd has. */
const MODULES = ["node:buffer", "node:crypto"];

test("the worker has less than 172 KiB gzipped, and imports nothing but two modules of Node's", async () => {
  const text = await buildWorker();
  const gzipBytes = gzipSync(text).length;
  assert.ok(gzipBytes < GZIP_BYTES_MAX, `${gzipBytes} bytes`);
  const imported = Array.from(text.matchAll(/\b(?:from|import|require\()\s*"([\w:./@-]+)"/g), ([, name]) => name);
  assert.deepEqual(new Set(imported), new Set(MODULES));
  assert.ok(!text.includes("readFileSync"), "scripts lie inside");
});
