/** What a reader does when the broker refuses a commit: it joins again, and the commit goes out in the next generation. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createCommits } from "@posthaste/shared/drivers/kafka/commits.ts";
import type { GroupConsumer } from "@posthaste/shared/drivers/kafka/consumer.ts";
import { createHeldPartition } from "@posthaste/shared/drivers/kafka/held-partition.ts";
import { createManualClock } from "../../support/clocks/manual-clock.ts";

/** Commits of one partition; the broker answers each with the next of `answers`, null for well. */
function open(answers: (string | null)[]) {
  const clock = createManualClock(0);
  const refusals: [string, boolean][] = [];
  const committed: string[] = [];
  const seen = { isHeld: true, isJoining: false };
  const partition = createHeldPartition({ topic: "t", partition: 0 }, { commit: () => Promise.resolve(), pause() {} });
  let beforeAnswer = (): void => undefined;
  const consumer: GroupConsumer = {
    commit({ topics }) {
      beforeAnswer();
      const type = answers.shift() ?? null;
      if (type !== null) return Promise.reject(Object.assign(new Error(type), { type }));
      committed.push(String(topics[0]?.partitions[0]?.offset));
      return Promise.resolve();
    },
    rejoin() {},
    pause() {},
    stop: () => Promise.resolve(),
  };
  const commits = createCommits({
    clock,
    prefix: "",
    isHeld: () => seen.isHeld,
    consumer: () => (seen.isJoining ? null : consumer),
    refused(_consumer, refusal, isExpelled) {
      refusals.push([refusal.message, isExpelled]);
      seen.isJoining = true;
      if (isExpelled) seen.isHeld = false;
    },
  });
  return {
    clock,
    commits,
    refusals,
    committed,
    seen,
    commit: (next: number) => commits.commit(partition, next),
    onAnswer: (act: () => void) => void (beforeAnswer = act),
    joined() {
      seen.isJoining = false;
      commits.assignmentKnown();
    },
  };
}

for (const type of ["REBALANCE_IN_PROGRESS", "ILLEGAL_GENERATION", "NOT_COORDINATOR_FOR_GROUP"]) {
  test(`kafka commits: ${type} joins again at once, and the commit goes out in the next generation`, async () => {
    const { clock, commit, refusals, committed, joined } = open([type]);
    const done = commit(7);
    await clock.settle();
    assert.deepEqual([refusals, committed], [[[type, false]], []]);
    joined();
    await done;
    assert.deepEqual(committed, ["7"]);
  });
}

for (const type of ["UNKNOWN_MEMBER_ID", "FENCED_INSTANCE_ID"]) {
  test(`kafka commits: ${type} tells that nothing is ours any more, and commits nothing`, async () => {
    const { clock, commit, refusals, committed, joined } = open([type]);
    const done = commit(7);
    await clock.settle();
    assert.deepEqual(refusals, [[type, true]]);
    joined();
    await done;
    assert.deepEqual(committed, []);
  });
}

test("kafka commits: the answer to a generation that is over does not join once more", async () => {
  const { commit, refusals, committed, joined, onAnswer } = open(["ILLEGAL_GENERATION"]);
  let isFirst = true;
  onAnswer(() => {
    if (isFirst) joined();
    isFirst = false;
  });
  const done = commit(7);
  await done.catch(() => undefined);
  assert.deepEqual([refusals, committed], [[], ["7"]]);
});
