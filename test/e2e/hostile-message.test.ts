/**
 * A message that ends the process that sends it: its receiver kills that process, with SIGKILL, whenever the request
 * arrives. It is dead-lettered after a bounded number of deaths, and all others are delivered, in both driver sets.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { UNENDED_MAX } from "@posthaste/processor/delivery/crash-guard.ts";
import { systemClock } from "@posthaste/shared/drivers/system.ts";
import { openReceiver } from "../support/receiver.ts";
import { openDistributedHarness } from "./distributed-harness.ts";
import { openCounter, untilDelivered } from "./load-under-kills.ts";
import type { Answer } from "./posthaste-child.ts";
import { call, openFolder, startServe } from "./posthaste-child.ts";

const running = new AbortController().signal;
const OTHERS = 60;
/** The first attempt, and each that was counted. */
const DEATHS = UNENDED_MAX + 1;

/** The process that lives now, and how it is told to die. Its supervisor starts the next one when it is gone. */
interface Lives {
  ask(path: string, body?: unknown): Promise<Answer>;
  kill(): void;
}

/** Never answers; from `arm` on each request kills the process that lives then, also one that came before. */
async function openHostile(kill: () => void) {
  let requests = 0;
  let isArmed = false;
  const receiver = await openReceiver(() => {
    requests += 1;
    if (isArmed) kill();
  });
  const arm = (): void => {
    isArmed = true;
    if (requests > 0) kill();
  };
  return { ...receiver, arm, requests: () => requests };
}

/** Publishes the hostile event among others, lives on, and looks at what became of all. */
async function survive(lives: Lives, priority: string): Promise<void> {
  await using counter = await openCounter();
  await using hostile = await openHostile(() => lives.kill());
  assert.equal((await lives.ask("/v1/endpoints", { url: hostile.url, event_types: ["bad"] })).status, 201);
  assert.equal((await lives.ask("/v1/endpoints", { url: counter.url, event_types: ["fine"] })).status, 201);
  const events = Array.from({ length: OTHERS + 1 }, (_, index) => {
    const type = index === OTHERS / 2 ? "bad" : "fine";
    return { type, id: `${priority}-${index}`, data: index, priority };
  });
  assert.equal((await lives.ask("/v1/events/batch", { events })).status, 200);
  hostile.arm();
  assert.deepEqual(await untilDead(lives), [["bad", true]]);
  const owed = new Set(events.filter(({ type }) => type === "fine").map(({ id }) => id));
  assert.deepEqual(await untilDelivered(owed, counter), []);
  assert.equal(hostile.requests(), DEATHS);
}

/** The types of all dead letters, once there is one, and whether their reason names the deaths. */
async function untilDead(lives: Lives): Promise<readonly (readonly [string, boolean])[]> {
  for (;;) {
    // Nobody answers between two lives.
    const { body } = await lives.ask("/v1/dead-letters").catch(() => ({ body: {} as Answer["body"] }));
    const rows = (body["data"] ?? []) as readonly { readonly event_type: string; readonly reason: string }[];
    if (rows.length > 0) {
      return rows.map(({ event_type: type, reason }) => [type, reason.includes(`ended ${UNENDED_MAX} times in a row`)]);
    }
    await systemClock.sleep(100, running);
  }
}

test("embedded: a message that ends its process is dead after a few, and the others are delivered", async () => {
  using folder = openFolder();
  let serving = await startServe(folder.path);
  const over = Promise.withResolvers<"over">();
  const supervisor = (async () => {
    while ((await Promise.race([serving.exited, over.promise])) !== "over") serving = await startServe(folder.path);
  })();
  try {
    const ask: Lives["ask"] = (path, body) => call(serving.url, path, body);
    await survive({ ask, kill: () => serving.kill("SIGKILL") }, "MEDIUM");
  } finally {
    over.resolve("over");
    await supervisor;
    await serving[Symbol.asyncDispose]();
  }
});

for (const priority of ["HIGH", "MEDIUM"]) {
  test(`distributed: a ${priority} message that ends its processor is dead after a few, and the others are delivered`, async () => {
    await using harness = await openDistributedHarness({ gateways: 1, processors: 1 });
    let starting: Promise<unknown> = Promise.resolve();
    const kill = (): void => {
      const [victim] = harness.processors.splice(0, 1);
      if (victim === undefined) return;
      starting = victim.end("SIGKILL").then(() => harness.add("processor"));
    };
    await survive({ ask: (path, body) => harness.ask(0, path, body), kill }, priority);
    await starting;
  });
}
