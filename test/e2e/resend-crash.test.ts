/** A resend that is killed at a line and sent again under its key is one delivery, never none and never two. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { openFolder } from "./posthaste-child.ts";

interface Resent {
  readonly status: number;
  readonly isReplay: boolean;
  readonly deliveries: readonly string[];
  /** Endpoint, generation and attempt of what waits to be sent. */
  readonly planned: readonly string[];
}

/** Null when the child was killed. */
function resend(folder: string, dieWhen = ""): Resent | null {
  const child = spawnSync(process.execPath, [join(import.meta.dirname, "resend-crash-child.ts"), folder, dieWhen]);
  if (child.signal === "SIGKILL") return null;
  assert.equal(child.status, 0, String(child.stderr));
  return JSON.parse(String(child.stdout)) as Resent;
}

for (const line of ["claimed", "planned"]) {
  test(`killed when ${line}, a resend sent again under its key is one delivery`, () => {
    using folder = openFolder();
    assert.equal(resend(folder.path, line), null, "the first process was killed at the line");
    const again = resend(folder.path);
    assert.deepEqual([again?.status, again?.isReplay, again?.deliveries.length], [202, false, 1]);
    assert.equal(new Set(again?.planned).size, 1, JSON.stringify(again));
    const third = resend(folder.path);
    assert.deepEqual([third?.status, third?.isReplay, third?.deliveries], [202, true, again?.deliveries]);
    assert.deepEqual(new Set(third?.planned), new Set(again?.planned));
  });
}
