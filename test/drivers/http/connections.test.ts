/** The bound on callers' connections, without sockets; at a listening server in `serve.test.ts`. */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { Connections } from "@posthaste/shared/drivers/http/server/connections.ts";

function openConnections(max: number) {
  const closed: string[] = [];
  const connections = new Connections<string>({ max, close: (connection) => void closed.push(connection) });
  return { closed, connections };
}

test("past the bound those that never asked make room first, longest waiting first, and a busy one never", () => {
  const { closed, connections } = openConnections(8);
  for (const name of "abcdefgh") connections.open(name);
  for (const name of "abc") connections.begin(name);
  connections.end("b");
  connections.end("a");
  for (const name of "ijk") assert.equal(connections.open(name), true);
  assert.deepEqual(closed, ["d", "e", "f"]);
  assert.equal(connections.count, 8);
});

test("a quarter of the places is for newcomers: past that, those that asked make room, longest idle first", () => {
  const { closed, connections } = openConnections(8);
  for (const name of "abcdefgh") {
    connections.open(name);
    connections.begin(name);
    connections.end(name);
  }
  connections.begin("a");
  for (const name of "ijkl") assert.equal(connections.open(name), true);
  // With three newcomers the oldest of them goes before an idle one does.
  assert.deepEqual(closed, ["b", "c", "d", "i"]);
});

test("when a request is under way on each, a new one finds no room, and finds it once one has ended", () => {
  const { closed, connections } = openConnections(2);
  for (const name of ["a", "b"]) {
    connections.open(name);
    connections.begin(name);
  }
  assert.equal(connections.open("c"), false);
  connections.end("a");
  assert.equal(connections.open("c"), true);
  assert.deepEqual(closed, ["a"]);
});

test("one that closed by itself frees its place, and its requests end without harm", () => {
  const { closed, connections } = openConnections(1);
  connections.open("a");
  connections.begin("a");
  connections.closed("a");
  connections.end("a");
  assert.equal(connections.open("b"), true);
  assert.deepEqual([closed, connections.count], [[], 1]);
});

test("whatever happens, no more are open than the bound, and none with a request is closed", () => {
  const step = fc.tuple(fc.constantFrom("open", "begin", "end", "closed"), fc.integer({ min: 0, max: 9 }));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const isUnderWay = new Map<string, boolean>();
      const connections = new Connections<string>({
        max: 4,
        close(connection) {
          assert.equal(isUnderWay.get(connection), false);
          isUnderWay.delete(connection);
        },
      });
      for (const [kind, number] of steps) {
        const name = `c${number}`;
        const isOpen = isUnderWay.has(name);
        if (kind === "open" && !isOpen && connections.open(name)) isUnderWay.set(name, false);
        if (!isOpen) continue;
        if (kind === "begin") isUnderWay.set(name, true);
        if (kind === "begin") connections.begin(name);
        if (kind === "end" && isUnderWay.get(name) === true) {
          isUnderWay.set(name, false);
          connections.end(name);
        }
        if (kind === "closed") {
          isUnderWay.delete(name);
          connections.closed(name);
        }
        assert.equal(connections.count, isUnderWay.size);
        assert.ok(connections.count <= 4);
      }
    }),
  );
});
