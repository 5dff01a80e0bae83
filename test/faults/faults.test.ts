/** The short form of `npm run test:faults` (the whole of it with POSTHASTE_FULL), and that its counts can fail. */
import assert from "node:assert/strict";
import { connect, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { test } from "node:test";
import { openTcpProxy } from "../support/tcp-proxy.ts";
import { Book } from "./book.ts";
import type { Answers } from "./publisher.ts";
import { problemsOf } from "./result.ts";
import { runScenarios } from "./run-scenarios.ts";
import type { Scenario } from "./scenario.ts";
import { ALL } from "./scenario.ts";
import { scenarios } from "./scenarios.ts";
import { problemsIn, tableOf } from "./table.ts";

const QUICK = new Set(["redis-down", "kafka-hangs", "everything-killed"]);
const wanted = process.env["POSTHASTE_FULL"] === "1" ? scenarios : scenarios.filter(({ name }) => QUICK.has(name));

const impossible: Scenario = {
  name: "impossible",
  layout: "one",
  steps: [{ fault: () => Promise.reject(new Error("this fault is none")), forMs: 0 }],
};

test(`what is accepted is settled soon after ${wanted.length} kinds of faults, and a fault that did not come about is told`, async () => {
  const { results, failures } = await runScenarios([impossible, ...wanted], () => undefined);
  console.log(tableOf(results));
  assert.deepEqual(problemsIn(results), []);
  assert.deepEqual(failures, ["impossible did not run: this fault is none"]);
  assert.equal(results.length, wanted.length);
});

test("at least 40 scenarios, each with a name of its own", () => {
  assert.ok(scenarios.length >= 40, String(scenarios.length));
  assert.equal(new Set(scenarios.map(({ name }) => name)).size, scenarios.length);
});

test("a book tells what is delivered, twice, dead, planned, gone, missing, and never asked for", () => {
  const book = new Book();
  for (const [at, id] of ["delivered", "dead", "planned", "gone", "missing", "gone-and-come"].entries()) {
    book.accept(id, "HIGH", at);
  }
  for (const id of ["delivered", "delivered", "gone-and-come", "unasked"]) book.arrive(id, 10);
  for (const standing of ["dead", "planned", "gone"] as const) book.stand(standing, standing, 11);
  book.stand("gone-and-come", "gone", 12);
  const { missing, ...sums } = book.sums();
  assert.deepEqual(missing, ["missing"]);
  assert.deepEqual(sums, { accepted: 6, delivered: 2, dead: 1, planned: 1, gone: 1, duplicates: 1, unasked: 1 });
  assert.deepEqual(book.open(), ["planned", "missing"]);
  assert.equal(book.longestWait("before", 20), null);
});

test("what a store lost is gone, also when its 202 is read after the loss", () => {
  const book = new Book();
  book.accept("read-before", "HIGH", 0);
  book.accept("there-before", "HIGH", 0);
  book.lose((id) => id.startsWith("read"), 10);
  for (const id of ["read-after", "there-after"]) book.accept(id, "HIGH", 11);
  assert.equal(book.sums().gone, 2);
  assert.deepEqual(book.missing(), ["there-before", "there-after"]);
  for (const id of ["there-before", "there-after", "read-after"]) book.arrive(id, 511);
  assert.deepEqual(book.stalls(9000), { all: 501, high: 501 });
  assert.deepEqual([book.sums().gone, book.sums().delivered, book.longestWait("before", 9000)?.id], [1, 3, ""]);
});

test("a stall counts while something is owed, and recovery what was accepted before the fault's end", () => {
  const book = new Book();
  book.accept("first", "HIGH", 100);
  book.arrive("first", 150);
  book.accept("second", "LOW", 1000);
  book.accept("third", "HIGH", 1100);
  book.arrive("third", 1300);
  book.arrive("second", 5300);
  book.arrive("early", 5400);
  book.accept("early", "HIGH", 5500);
  assert.deepEqual(book.stalls(9000), { all: 4000, high: 200 });
  assert.equal(book.longestWait("before", 5000)?.waitedMs, 300);
  assert.equal(book.longestWait("before", 9000)?.waitedMs, 0);
  book.accept("late", "HIGH", 9500);
  assert.equal(book.longestWait("before", 9000)?.waitedMs, 0);
  assert.equal(book.longestWait("after", 9000), null);
  book.arrive("late", 9800);
  assert.deepEqual(book.longestWait("after", 9000), {
    id: "late",
    priority: "HIGH",
    acceptedAtMs: 9500,
    waitedMs: 300,
  });
  assert.deepEqual(book.stalls(10_000), { all: 4000, high: 300 });
});

test("a loss, a late recovery, a refusal too many, an odd answer and an end by itself are problems", () => {
  const answers: Answers = {
    sent: 30,
    refused: { HIGH: 1, MEDIUM: 0, LOW: 5 },
    broken: 0,
    heldBack: 0,
    odd: { "500 internal": 2 },
    reasons: { "HIGH 503 full": 1, "LOW 503 full": 5 },
    latencyMsP99: 1,
  };
  const good = {
    scenario: "s",
    accepted: 24,
    delivered: 24,
    dead: 0,
    planned: 0,
    lost: 0,
    lostByStore: 0,
    duplicates: 0,
    unasked: 0,
    unshown: { of: 0, unshown: 0 },
    stallMs: 0,
    highStallMs: 0,
    recoveryMs: 20_000,
    afterMs: 20_000,
    died: 0,
    memory: { gatewayMiB: 1, processorMiB: 1, redisMiB: 1 },
    answers: { ...answers, odd: {} },
  };
  assert.deepEqual(problemsOf({ ...impossible, refusedMax: ALL }, good), []);
  assert.equal(problemsOf(impossible, good).length, 2, "nothing may be refused unless the scenario says so");
  const strict = { ...impossible, refusedMax: { HIGH: 0, MEDIUM: 0, LOW: 0.5 } };
  assert.deepEqual(problemsOf(strict, { ...good, answers, lost: 2, recoveryMs: 20_001, afterMs: 30_000, died: 1 }), [
    "2 accepted events are lost",
    "recovery took 20001 ms, more than 20000",
    "what was accepted afterwards waited 30000 ms, more than 20000",
    "1 programs ended by themselves",
    "2 answers 500 internal",
    "1 of HIGH were refused, more than 0 %",
  ]);
  assert.deepEqual(problemsOf({ ...impossible, refusedMax: ALL }, { ...good, accepted: 0 }), [
    "nothing was accepted, so that nothing is shown",
  ]);
});

/** Answers each byte with itself. */
async function openEcho() {
  const server = createServer((socket) => void socket.pipe(socket).on("error", () => undefined));
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  return { port: (server.address() as AddressInfo).port, [Symbol.dispose]: () => void server.close() };
}

function dial(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1" }, () => resolve(socket));
    socket.once("error", reject);
  });
}

const nextByte = (socket: Socket): Promise<string> =>
  new Promise((resolve) => void socket.once("data", (bytes: Buffer) => resolve(bytes.toString())));
const ended = (socket: Socket): Promise<void> =>
  new Promise((resolve) => void socket.on("error", () => undefined).once("close", () => resolve()));

test("the proxy passes on, refuses, cuts, delays in order and holds back until it is well again", async () => {
  using echo = await openEcho();
  await using proxy = await openTcpProxy({ port: echo.port });
  const first = await dial(proxy.port);
  first.write("a");
  assert.equal(await nextByte(first), "a");
  await proxy.set({ kind: "silent" });
  let heard = "";
  first.on("data", (bytes: Buffer) => (heard += bytes.toString()));
  first.write("b");
  const second = await dial(proxy.port);
  second.write("c");
  await proxy.set({ kind: "slow", ms: 20 });
  assert.equal(await nextByte(second), "c");
  if (heard === "") await nextByte(first);
  assert.equal(heard, "b");
  first.write("d");
  await proxy.set({ kind: "none" });
  first.write("e");
  while (heard.length < 3) await nextByte(first);
  assert.equal(heard, "bde");
  const cut = [ended(first), ended(second)];
  proxy.drop();
  await Promise.all(cut);
  await proxy.set({ kind: "down" });
  await assert.rejects(dial(proxy.port), /ECONNREFUSED|refused|Failed to connect/i);
  await proxy.set({ kind: "none" });
  const third = await dial(proxy.port);
  third.write("f");
  assert.equal(await nextByte(third), "f");
  third.destroy();
});
