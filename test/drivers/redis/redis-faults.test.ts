/** What a refusal of Redis means for a caller, by its first word or by what ran into it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { isDamage, isStoreUnavailable } from "@posthaste/shared/domain/errors.ts";
import { errorOfReply } from "@posthaste/shared/drivers/redis/client/redis-faults.ts";

type Meaning = "damage" | "away" | "ours";

function meaningOf(message: string): Meaning {
  const error = errorOfReply(message);
  if (isDamage(error)) return "damage";
  return isStoreUnavailable(error) ? "away" : "ours";
}

const SCRIPT = "script: 0123456789abcdef0123456789abcdef01234567, on @user_script:3.";

for (const [message, meaning] of [
  ["WRONGTYPE Operation against a key holding the wrong kind of value", "damage"],
  [`WRONGTYPE Operation against a key holding the wrong kind of value ${SCRIPT}`, "damage"],
  [`ERR user_script:3: attempt to compare number with nil ${SCRIPT}`, "damage"],
  ["OOM command not allowed when used memory > 'maxmemory'.", "away"],
  ["MISCONF Redis is configured to save RDB snapshots, but it is currently unable to persist to disk.", "away"],
  ["READONLY You can't write against a read only replica.", "away"],
  ["LOADING Redis is loading the dataset in memory", "away"],
  ["CLUSTERDOWN The cluster is down", "away"],
  ["NOAUTH Authentication required.", "away"],
  ["ERR wrong number of arguments for 'get' command", "ours"],
] as const) {
  test(`${meaning}: ${message.slice(0, 40)}`, () => {
    assert.equal(meaningOf(message), meaning);
  });
}
