/** Look-ups by hand: who shares one, who waits for whom, and how long which answer is believed. */
import assert from "node:assert/strict";
import { test } from "node:test";

import type { LookUps } from "@posthaste/shared/drivers/http/look-ups.ts";
import {
  ADDRESSES_KEPT_MAX,
  FOUND_MS_MAX,
  FOUND_MS_MIN,
  LOOK_UP_MS_MAX,
  NAMES_KEPT_MAX,
  NONE_MS,
  STALE_MS_MAX,
  STALE_WAIT_MS,
  UNANSWERED_MS,
  createLookUps,
} from "@posthaste/shared/drivers/http/look-ups.ts";
import { SUSPECTS_PER_TENANT_MAX, TURNS_PER_TENANT_MAX } from "@posthaste/shared/drivers/http/fair-turns.ts";
import type { Resolution } from "@posthaste/shared/drivers/http/resolver.ts";

import type { ManualClock } from "../../support/clocks/manual-clock.ts";
import { createManualClock } from "../../support/clocks/manual-clock.ts";
import { found, running } from "../../support/receiver.ts";

const NO_NAME: Resolution = { kind: "none", reason: "no such name" };

interface Harness {
  readonly clock: ManualClock;
  readonly lookUps: LookUps;
  /** Every name that was asked for, in order. */
  readonly asked: string[];
  /** What was told of each question: whether memory had the answer. */
  readonly known: boolean[];
  /** What names are answered from now on, by their first label; others never are. */
  readonly answers: Map<string, Resolution>;
  readonly closing: AbortController;
  /** What became of a find: the first address, the kind, or `waits`. */
  find(name: string, tenant?: string, signal?: AbortSignal): { readonly state: string };
}

function openLookUps(): Harness {
  const clock = createManualClock(0);
  const asked: string[] = [];
  const answers = new Map<string, Resolution>();
  const closing = new AbortController();
  const resolve = (name: string): Promise<Resolution> => {
    asked.push(name);
    const answer = answers.get(name.split(".")[0] ?? "");
    return answer === undefined ? new Promise(() => undefined) : Promise.resolve(answer);
  };
  const known: boolean[] = [];
  const onLookUp = (isKnown: boolean): void => void known.push(isKnown);
  const lookUps = createLookUps({ clock, resolve, closing: closing.signal, onLookUp });
  return {
    clock,
    lookUps,
    asked,
    known,
    answers,
    closing,
    find(name, tenant = "acme", signal = running) {
      const outcome = { state: "waits" };
      lookUps.find(name, tenant, signal).then(
        (resolution) =>
          (outcome.state = resolution.kind === "found" ? (resolution.addresses[0] ?? "") : resolution.kind),
        () => (outcome.state = "rejected"),
      );
      return outcome;
    },
  };
}

const names = (count: number, zone: string): string[] =>
  Array.from({ length: count }, (_, index) => `h${index}.${zone}`);

test("one look-up of a name is under way, whoever asks", async () => {
  const { clock, find, asked } = openLookUps();
  const finds = [find("a.test"), find("a.test"), find("a.test", "other")];
  await clock.settle();
  assert.deepEqual(asked, ["a.test"]);
  await clock.advance(LOOK_UP_MS_MAX);
  assert.deepEqual(
    finds.map(({ state }) => state),
    ["unanswered", "unanswered", "unanswered"],
  );
});

test("each question is told, and whether memory had a fresh answer to it", async () => {
  const { clock, find, known, answers } = openLookUps();
  answers.set("good", found(["192.0.2.1"]));
  for (const expected of [[false], [false, true], [false, true, true]]) {
    find("good.test");
    await clock.settle();
    assert.deepEqual(known, expected);
  }
});

test("a tenant whose zones never answer waits for itself: another tenant is served at once", async () => {
  const { clock, find, asked, answers } = openLookUps();
  answers.set("good", found(["192.0.2.1"]));
  const silent = names(60, "silent.test").map((name) => find(name, "silent"));
  await clock.settle();
  assert.equal(asked.length, TURNS_PER_TENANT_MAX);
  const good = find("good.test", "healthy");
  await clock.settle();
  assert.equal(good.state, "192.0.2.1");
  await clock.advance(LOOK_UP_MS_MAX);
  assert.ok(silent.every(({ state }) => state === "unanswered"));
});

test("a name that waits in one tenant's row is looked up at once for another, and both have the answer", async () => {
  const { clock, find, asked, answers } = openLookUps();
  answers.set("good", found(["192.0.2.1"]));
  for (const name of names(TURNS_PER_TENANT_MAX, "silent.test")) find(name, "silent");
  const inRow = find("good.test", "silent");
  await clock.advance(1);
  const other = find("good.test", "healthy");
  await clock.settle();
  assert.deepEqual([inRow.state, other.state], ["waits", "192.0.2.1"]);
  await clock.advance(LOOK_UP_MS_MAX - 1);
  assert.equal(inRow.state, "192.0.2.1");
  assert.equal(asked.filter((name) => name === "good.test").length, 1);
});

test("names that had no answer leave turns to the tenant's other names", async () => {
  const { clock, find, asked, answers } = openLookUps();
  const silent = names(TURNS_PER_TENANT_MAX, "silent.test");
  for (const name of silent) find(name);
  await clock.advance(LOOK_UP_MS_MAX + UNANSWERED_MS);
  asked.length = 0;
  for (const name of silent) find(name);
  await clock.settle();
  assert.equal(asked.length, SUSPECTS_PER_TENANT_MAX);
  answers.set("good", found(["192.0.2.1"]));
  const good = find("good.test");
  await clock.settle();
  assert.equal(good.state, "192.0.2.1");
});

test("an answer is fresh for its TTL within bounds, and then asked for again", async () => {
  for (const [ttlMs, freshMs] of [
    [0, FOUND_MS_MIN],
    [7000, 7000],
    [86_400_000, FOUND_MS_MAX],
  ] as const) {
    const { clock, find, asked, answers } = openLookUps();
    answers.set("good", found(["192.0.2.1"], ttlMs));
    find("good.test");
    await clock.advance(freshMs - 1);
    find("good.test");
    await clock.settle();
    assert.equal(asked.length, 1);
    await clock.advance(1);
    find("good.test");
    await clock.settle();
    assert.equal(asked.length, 2);
  }
});

test("failures are kept for a short while: a missing name, and one without an answer", async () => {
  const { clock, find, asked, answers } = openLookUps();
  answers.set("missing", NO_NAME);
  find("missing.test");
  find("silent.test");
  await clock.advance(LOOK_UP_MS_MAX);
  answers.set("missing", found(["192.0.2.1"]));
  answers.set("silent", found(["192.0.2.2"]));
  const early = find("silent.test");
  await clock.settle();
  assert.equal(early.state, "unanswered");
  assert.equal(asked.length, 2);
  await clock.advance(Math.max(UNANSWERED_MS, NONE_MS));
  const late = [find("missing.test"), find("silent.test")];
  await clock.settle();
  assert.deepEqual(
    late.map(({ state }) => state),
    ["192.0.2.1", "192.0.2.2"],
  );
});

test("while no name server answers, the last answer is used on, and no longer than its bound", async () => {
  const { clock, find, answers } = openLookUps();
  answers.set("good", found(["192.0.2.1"], 0));
  find("good.test");
  await clock.advance(FOUND_MS_MIN);
  answers.clear();
  const first = find("good.test");
  await clock.advance(STALE_WAIT_MS - 1);
  assert.equal(first.state, "waits");
  await clock.advance(1);
  assert.equal(first.state, "192.0.2.1");
  await clock.advance(LOOK_UP_MS_MAX);
  const next = find("good.test");
  await clock.settle();
  assert.equal(next.state, "192.0.2.1");
  await clock.advance(STALE_MS_MAX);
  const last = find("good.test");
  await clock.advance(LOOK_UP_MS_MAX);
  assert.equal(last.state, "unanswered");
});

test("a name that is gone is gone: its last answer is not used on", async () => {
  const { clock, find, answers } = openLookUps();
  answers.set("good", found(["192.0.2.1"], 0));
  find("good.test");
  await clock.advance(FOUND_MS_MIN);
  answers.set("good", NO_NAME);
  const gone = find("good.test");
  await clock.advance(NONE_MS);
  assert.equal(gone.state, "none");
  answers.clear();
  const later = find("good.test");
  await clock.advance(LOOK_UP_MS_MAX);
  assert.equal(later.state, "unanswered");
});

test("a wait ends with its signal at once, in the row and in a look-up; closing ends all", async () => {
  const { clock, find, lookUps, closing } = openLookUps();
  const stop = new AbortController();
  const waiting = names(60, "silent.test").map((name) => find(name, "acme", stop.signal));
  await clock.settle();
  stop.abort();
  await clock.settle();
  assert.ok(waiting.every(({ state }) => state === "rejected"));
  const others = names(60, "other.test").map((name) => find(name, "other"));
  closing.abort();
  await clock.settle();
  assert.ok(others.every(({ state }) => state === "unanswered"));
  assert.equal(lookUps.counts().underWay, 0);
});

test("names and the addresses of one are bounded", async () => {
  const { clock, lookUps, answers } = openLookUps();
  const many = Array.from({ length: 500 }, (_, index) => `198.18.${index >> 8}.${index & 255}`);
  answers.set("many", found(many));
  const resolution = await lookUps.find("many.test", "acme", running);
  assert.equal(resolution.kind === "found" && resolution.addresses.length, ADDRESSES_KEPT_MAX);
  for (let index = 0; index < NAMES_KEPT_MAX + 100; index++) {
    answers.set(`n${index}`, NO_NAME);
    await lookUps.find(`n${index}.test`, "acme", running);
  }
  assert.equal(lookUps.counts().kept, NAMES_KEPT_MAX);
  assert.equal(clock.timerCount(), 0);
});
