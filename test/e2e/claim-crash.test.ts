import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

interface Published {
  readonly status: number;
  readonly isReplay: boolean;
  readonly id: string;
  readonly kept: readonly string[];
  readonly waiting: number;
}

const BODY = JSON.stringify({ type: "order.paid", data: { n: 1 } });
const OWN_ID_BODY = JSON.stringify({ type: "order.paid", data: { n: 1 }, id: "order-1" });

/** Null when the child was killed. */
function publish(
  folder: string,
  request: { header: string; value: string; body: string },
  dieWhen = "",
): Published | null {
  const { header, value, body } = request;
  const child = spawnSync(process.execPath, [
    join(import.meta.dirname, "claim-crash-child.ts"),
    folder,
    header,
    value,
    body,
    dieWhen,
  ]);
  if (child.signal === "SIGKILL") return null;
  assert.equal(child.status, 0, String(child.stderr));
  return JSON.parse(String(child.stdout)) as Published;
}

const requests = {
  "an Idempotency-Key": { header: "idempotency-key", value: '"once"', body: BODY },
  "an id of its own": { header: "", value: "", body: OWN_ID_BODY },
};

for (const [what, request] of Object.entries(requests)) {
  for (const line of ["claimed", "appended"]) {
    test(`killed when ${line}, a request with ${what} sent again makes one event`, () => {
      const folder = mkdtempSync(join(tmpdir(), "posthaste-claim-"));
      assert.equal(publish(folder, request, line), null, "the first process was killed at the line");
      const again = publish(folder, request);
      assert.equal(again?.status, 202);
      assert.deepEqual([again?.kept, again?.waiting], [[again?.id], 1]);
      const third = publish(folder, request);
      assert.deepEqual([third?.status, third?.isReplay, third?.id], [202, true, again?.id]);
      assert.deepEqual([third?.kept, third?.waiting], [[again?.id], 1]);
      rmSync(folder, { recursive: true });
    });
  }
}
