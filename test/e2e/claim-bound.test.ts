/** `IDEMPOTENCY_GIB` is the bound of idempotency keys and event ids in the program itself. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { claimBytesOf } from "@posthaste/shared/drivers/sqlite/disk-bounds.ts";
import { call, openFolder, startServe } from "./posthaste-child.ts";

const GIB = 1024 ** 3;

/** As if claims of a tenant that is not published for took so much. */
function fillClaims(folder: string, bytes: number): void {
  using database = new DatabaseSync(join(folder, "posthaste.db"));
  database.prepare("INSERT OR REPLACE INTO claim_totals VALUES ('', 1000000, ?)").run(bytes);
}

test("an event with an id of its own is refused past the bound of the settings, and taken below it", async () => {
  using folder = openFolder();
  const first = await startServe(folder.path);
  first.kill("SIGTERM");
  await first.exited;
  fillClaims(folder.path, 1.5 * GIB);
  const small = await startServe(folder.path, { IDEMPOTENCY_GIB: "1" });
  const refused = await call(small.url, "/v1/events", { type: "a", id: "own-1", data: {} });
  assert.equal(refused.status, 503);
  assert.equal(refused.body["code"], "overloaded");
  assert.match(String(refused.body["detail"]), /IDEMPOTENCY_GIB/);
  assert.equal((await call(small.url, "/v1/events", { type: "a", data: {} })).status, 202);
  small.kill("SIGTERM");
  await small.exited;
  await using large = await startServe(folder.path, { IDEMPOTENCY_GIB: "2" });
  assert.equal((await call(large.url, "/v1/events", { type: "a", id: "own-1", data: {} })).status, 202);
});

test("without a setting the bound is a tenth of the disk, 4 GiB at least and 32 GiB at most", () => {
  assert.equal(claimBytesOf(0), 4 * GIB);
  assert.equal(claimBytesOf(20 * GIB), 4 * GIB);
  assert.equal(claimBytesOf(200 * GIB), 20 * GIB);
  assert.equal(claimBytesOf(10_000 * GIB), 32 * GIB);
});
