import assert from "node:assert/strict";
import { test } from "node:test";
import { onAbort } from "@posthaste/shared/lib/on-abort.ts";

test("onAbort() tells everyone who still waits, once, with one listener on the signal", () => {
  const controller = new AbortController();
  let listeners = 0;
  const { signal } = controller;
  const add = signal.addEventListener.bind(signal);
  signal.addEventListener = (...args: Parameters<typeof add>) => {
    listeners += 1;
    add(...args);
  };
  const told: string[] = [];
  onAbort(signal, () => told.push("a"));
  const cancel = onAbort(signal, () => told.push("b"));
  onAbort(signal, () => told.push("c"));
  cancel();
  cancel();
  assert.equal(listeners, 1);
  controller.abort();
  controller.abort();
  assert.deepEqual(told, ["a", "c"]);
});

test("onAbort() keeps the same callback twice when it was given twice", () => {
  const controller = new AbortController();
  let count = 0;
  const callback = () => void (count += 1);
  const cancel = onAbort(controller.signal, callback);
  onAbort(controller.signal, callback);
  cancel();
  controller.abort();
  assert.equal(count, 1);
});

test("what a told waiter cancels or adds disturbs no other", () => {
  const controller = new AbortController();
  const told: string[] = [];
  onAbort(controller.signal, () => {
    told.push("first");
    cancelSecond();
    onAbort(controller.signal, () => told.push("late"));
  });
  const cancelSecond = onAbort(controller.signal, () => told.push("second"));
  onAbort(controller.signal, () => told.push("third"));
  controller.abort();
  assert.deepEqual(told, ["first", "third"]);
});
