/** How far logs had come, and how one is known that somebody made again. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createLogEnds, isCut } from "@posthaste/shared/drivers/kafka/log-ends.ts";

const at = (partition: number, end: number) => ({ topic: "a", partition, end });

test("a log that ends before where it was known to is another one; what was read while it was asked proves nothing", () => {
  const ends = createLogEnds();
  assert.equal(isCut([at(0, 0)], ends.known("a")), false);
  ends.saw([at(0, 5), at(1, 2)]);
  const known = ends.known("a");
  // The answer was given before the sixth record was written, and comes after it was read.
  ends.saw([at(0, 6)]);
  assert.equal(isCut([at(0, 5), at(1, 2)], known), false);
  assert.equal(isCut([at(0, 5), at(1, 2)], ends.known("a")), true);
  assert.equal(isCut([at(0, 7), at(1, 1)], known), true);
});

test("ends only grow, by topic, until the topic is forgotten", () => {
  const ends = createLogEnds();
  ends.saw([at(0, 5)]);
  ends.saw([at(0, 3), { topic: "b", partition: 0, end: 9 }]);
  assert.deepEqual([...ends.known("a")], [[0, 5]]);
  ends.forget("a");
  assert.deepEqual([[...ends.known("a")], [...ends.known("b")]], [[], [[0, 9]]]);
});
