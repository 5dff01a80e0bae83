import assert from "node:assert/strict";
import { test } from "node:test";
import { OneAtATime, SingleFlight } from "@posthaste/shared/lib/single-flight.ts";
import fc from "fast-check";

interface Question {
  readonly key: string;
  readonly answer: (value: string) => void;
  readonly fail: (error: unknown) => void;
}

function open() {
  const questions: Question[] = [];
  const flights = new SingleFlight<string, string>((key) => {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    questions.push({ key, answer: resolve, fail: reject });
    return promise;
  });
  return { questions, flights };
}

/** Grants promises their turn. */
async function turn(): Promise<void> {
  for (let tick = 0; tick < 20; tick++) await Promise.resolve();
}

test("share() puts one question for each key, and gives all the same promise", async () => {
  const { questions, flights } = open();
  const a = flights.share("a");
  assert.equal(flights.share("a"), a);
  assert.notEqual(flights.share("b"), a);
  assert.deepEqual(
    questions.map(({ key }) => key),
    ["a", "b"],
  );
  questions[0]?.answer("first");
  assert.equal(await a, "first");
  questions[1]?.answer("other");
  await turn();
  assert.equal(flights.count, 0);
});

test("after an answer or an error the next question is put afresh", async () => {
  const { questions, flights } = open();
  const both = [flights.share("a"), flights.share("a")];
  questions[0]?.fail(new Error("no store"));
  const settled = await Promise.allSettled(both);
  assert.ok(settled.every(({ status }) => status === "rejected"));
  const again = flights.share("a");
  questions[1]?.answer("second");
  assert.equal(await again, "second");
  assert.equal(questions.length, 2);
});

test("askAfresh() while a question is under way: all share the one after it", async () => {
  const { questions, flights } = open();
  const before = flights.askAfresh("a");
  const after = [flights.askAfresh("a"), flights.askAfresh("a")];
  assert.equal(questions.length, 1);
  questions[0]?.answer("old");
  assert.equal(await before, "old");
  await turn();
  assert.equal(questions.length, 2);
  questions[1]?.answer("new");
  assert.deepEqual(await Promise.all(after), ["new", "new"]);
  assert.equal(flights.count, 0);
});

test("askAfresh() goes on after a question that failed", async () => {
  const { questions, flights } = open();
  const before = assert.rejects(flights.askAfresh("a"), { message: "no store" });
  const after = flights.askAfresh("a");
  questions[0]?.fail(new Error("no store"));
  await before;
  await turn();
  questions[1]?.answer("new");
  assert.equal(await after, "new");
});

test("an answer of askAfresh() is never older than the asking, and one question is under way at a time", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.constantFrom("ask", "answer", "turn"), { maxLength: 40 }), async (steps) => {
      let state = 0;
      let underWay = 0;
      const gates: (() => void)[] = [];
      const flights = new SingleFlight<string, number>(async () => {
        underWay += 1;
        assert.equal(underWay, 1);
        const seen = state;
        await new Promise<void>((resolve) => gates.push(resolve));
        underWay -= 1;
        return seen;
      });
      const checks: Promise<void>[] = [];
      const checked = async (askedAt: number): Promise<void> => assert.ok((await flights.askAfresh("a")) >= askedAt);
      for (const step of steps) {
        if (step === "ask") checks.push(checked(++state));
        else if (step === "answer") gates.shift()?.();
        else await turn();
      }
      for (let round = 0; round < 3; round++) {
        for (const pass of gates.splice(0)) pass();
        await turn();
      }
      await Promise.all(checks);
      assert.equal(flights.count, 0);
    }),
  );
});

test("who asks between an answer and the question after it shares that question", async () => {
  const { questions, flights } = open();
  // Its continuation runs before that of the one who shares the next question.
  const twice = flights.askAfresh("a").then(() => flights.askAfresh("a"));
  const after = flights.askAfresh("a");
  questions[0]?.answer("old");
  await turn();
  assert.equal(questions.length, 2);
  questions[1]?.answer("new");
  assert.deepEqual(await Promise.all([twice, after]), ["new", "new"]);
});

test("OneAtATime: never two of a key at once, and in the order of the calls, whenever they come", async () => {
  const steps = fc.array(fc.constantFrom("run a", "run b", "end", "turn"), { maxLength: 60 });
  await fc.assert(
    fc.asyncProperty(steps, async (given) => {
      const turns = new OneAtATime<string>();
      const gates: (() => void)[] = [];
      const running = new Set<string>();
      const begun: Record<string, number[]> = { a: [], b: [] };
      const all: Promise<void>[] = [];
      const work = (key: string, number: number) => async (): Promise<void> => {
        assert.ok(!running.has(key), `two of ${key} at once`);
        running.add(key);
        begun[key]?.push(number);
        await new Promise<void>((resolve) => gates.push(resolve));
        running.delete(key);
      };
      for (const [number, step] of given.entries()) {
        const key = step.at(-1) ?? "";
        if (step === "end") gates.shift()?.();
        else if (step === "turn") await turn();
        else all.push(turns.run(key, work(key, number)));
      }
      while (turns.count > 0) {
        for (const pass of gates.splice(0)) pass();
        await turn();
      }
      await Promise.all(all);
      for (const numbers of Object.values(begun)) {
        assert.deepEqual(
          numbers,
          numbers.toSorted((left, right) => left - right),
        );
      }
    }),
  );
});

test("OneAtATime begins at once when the key is free, and keeps the order of those who wait", async () => {
  const turns = new OneAtATime<string>();
  const told: string[] = [];
  const gates = new Map<string, () => void>();
  const work = (name: string) => async (): Promise<string> => {
    told.push(`begin ${name}`);
    await new Promise<void>((resolve) => gates.set(name, resolve));
    told.push(`end ${name}`);
    return name;
  };
  const all = ["1", "2", "3"].map((name) => turns.run("a", work(name)));
  const other = turns.run("b", work("other"));
  assert.deepEqual(told, ["begin 1", "begin other"]);
  assert.equal(turns.count, 2);
  for (const name of ["1", "2", "3", "other"]) {
    gates.get(name)?.();
    await turn();
  }
  assert.deepEqual(await Promise.all([...all, other]), ["1", "2", "3", "other"]);
  assert.deepEqual(told.slice(2), ["end 1", "begin 2", "end 2", "begin 3", "end 3", "end other"]);
  assert.equal(turns.count, 0);
});

test("OneAtATime: an error is its caller's alone, and the next goes on", async () => {
  const turns = new OneAtATime<string>();
  const fails = assert.rejects(
    turns.run("a", () => Promise.reject(new Error("no store"))),
    { message: "no store" },
  );
  assert.equal(await turns.run("a", () => Promise.resolve("next")), "next");
  await fails;
  assert.equal(turns.count, 0);
});
