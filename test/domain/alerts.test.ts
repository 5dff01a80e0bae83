/** When an alert begins and ends: the rules, and that nothing comes and goes at the threshold. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { AlertRule, AlertRules } from "@posthaste/shared/domain/alert-rules.ts";
import { ALERT_RULES, AlertFigures } from "@posthaste/shared/domain/alert-rules.ts";
import type { AlertBoardState, AlertSights } from "@posthaste/shared/domain/alerts.ts";
import { alertEvent, look, nextBoard, parseBoard, unsentAlerts, withSent } from "@posthaste/shared/domain/alerts.ts";
import fc from "fast-check";
import * as v from "valibot";
import { START_MS } from "../support/samples.ts";

const RULE: AlertRule = { ...ALERT_RULES["age-high"], firesAt: 10, forS: 30, resolvesBelow: 5, resolveForS: 60 };
const RULES: AlertRules = { "age-high": RULE };
const LOOK_MS = 10_000;

interface Process {
  sights: AlertSights;
}

/** What the process makes of the board, `sinceStartMs` after the start, when it sees this age; null: it cannot tell. */
function looks(process: Process, board: AlertBoardState, value: number | null, sinceStartMs: number) {
  const measures = new Map(value === null ? [] : [["age.high", value] as const]);
  process.sights = look(RULES, process.sights, measures, sinceStartMs);
  const nowMs = START_MS + sinceStartMs;
  const looked = { rules: RULES, sights: process.sights, measures, steadyMs: sinceStartMs, nowMs, lookMs: LOOK_MS };
  const next = nextBoard(board, looked);
  return { next, unsent: unsentAlerts(next, board, looked) };
}

/** One process that looks every ten seconds and sends at once: what it said, with the second. */
function said(values: readonly (number | null)[]): readonly string[] {
  const process: Process = { sights: new Map() };
  let board: AlertBoardState = {};
  return values.flatMap((value, index) => {
    const looked = looks(process, board, value, index * LOOK_MS);
    board = looked.next;
    const [name] = looked.unsent;
    const standing = name === undefined ? undefined : board[name];
    if (name === undefined || standing === undefined) return [];
    board = withSent(board, name, standing);
    return [`${alertEvent(name, RULE, standing).type} ${index * 10}`];
  });
}

const FIRES = "posthaste.alert.age-high";
const ENDS = "posthaste.alert.resolved";

test("it begins when the measure was at the threshold all the time, and not before", () => {
  assert.deepEqual(said([10, 10, 10, 10, 10]), [`${FIRES} 30`]);
  assert.deepEqual(said([10, 10, 10, 9, 10, 10, 10]), []);
  assert.deepEqual(said([10, 10, null, 10, 10, 10]), []);
});

test("it ends when the measure was below the lower threshold all the time", () => {
  const begun = [20, 20, 20, 20];
  assert.deepEqual(said([...begun, 6, 6, 6, 6, 6, 6, 6, 6, 6]), [`${FIRES} 30`]);
  assert.deepEqual(said([...begun, 4, 4, 4, 4, 4, 4, 4]), [`${FIRES} 30`, `${ENDS} 100`]);
  assert.deepEqual(said([...begun, 4, 4, 4, 7, 4, 4, 4, 4, 4]), [`${FIRES} 30`]);
  assert.deepEqual(said([...begun, null, null, null, null, null, null, null, null]), [`${FIRES} 30`]);
});

test("of two processes that see the same one says it, and it ends when neither sees it", () => {
  const [one, two]: readonly [Process, Process] = [{ sights: new Map() }, { sights: new Map() }];
  let board: AlertBoardState = {};
  const events: string[] = [];
  for (let index = 0; index < 40; index++) {
    for (const [process, value] of [
      [one, index < 10 ? 20 : 1],
      [two, index < 20 ? 20 : 1],
    ] as const) {
      const { next, unsent } = looks(process, board, value, index * LOOK_MS);
      board = next;
      for (const name of unsent) {
        const standing = board[name];
        assert.ok(standing !== undefined);
        events.push(`${alertEvent(name, RULE, standing).type} ${index * 10}`);
        board = withSent(board, name, standing);
      }
    }
  }
  assert.deepEqual(events, [`${FIRES} 30`, `${ENDS} 250`]);
  assert.deepEqual(board, {});
});

test("what a process that died had begun and not sent is sent by another, as the same event", () => {
  const [one, two]: readonly [Process, Process] = [{ sights: new Map() }, { sights: new Map() }];
  let board: AlertBoardState = {};
  for (let index = 0; index < 4; index++) board = looks(one, board, 20, index * LOOK_MS).next;
  const begun = board["age-high"];
  assert.ok(begun !== undefined && !begun.isSent);
  const seen = [4, 5, 6].map((index) => {
    const { next, unsent } = looks(two, board, 25, index * LOOK_MS);
    board = next;
    return unsent;
  });
  assert.deepEqual(seen, [[], ["age-high"], ["age-high"]]);
  const repeated = board["age-high"];
  assert.ok(repeated !== undefined);
  assert.deepEqual(alertEvent("age-high", RULE, repeated), alertEvent("age-high", RULE, begun));
});

test("a process that has just started neither ends nor begins anew what stands", () => {
  let board: AlertBoardState = {};
  const before: Process = { sights: new Map() };
  for (let index = 0; index < 4; index++) board = looks(before, board, 20, index * LOOK_MS).next;
  board = withSent(board, "age-high", board["age-high"] ?? assert.fail());
  const after: Process = { sights: new Map() };
  for (let index = 100; index < 120; index++) {
    const { next, unsent } = looks(after, board, 7, index * LOOK_MS);
    assert.deepEqual(unsent, []);
    board = next;
  }
  assert.equal(board["age-high"]?.resolvedAtMs, null);
});

test("for any course of the measure: beginnings and ends alternate, each after its whole time on its side", () => {
  const values = fc.array(fc.constantFrom(0, 4, 5, 6, 9, 10, 11, 30, null), { minLength: 30, maxLength: 200 });
  const runs = fc.array(fc.tuple(fc.constantFrom(2, 7, 20), fc.integer({ min: 1, max: 12 })), { maxLength: 30 });
  const slow = runs.map((each) => each.flatMap(([value, count]) => Array.from({ length: count }, () => value)));
  fc.assert(
    fc.property(fc.oneof(values, slow), (course) => {
      const words = said(course);
      words.forEach((word, index) => {
        const [type, second] = word.split(" ");
        assert.equal(type, index % 2 === 0 ? FIRES : ENDS);
        const last = Number(second) / 10;
        const isBegun = type === FIRES;
        const span = course.slice(last - (isBegun ? 3 : 6), last + 1);
        assert.ok(
          span.every((value) => value !== null && (isBegun ? value >= 10 : value < 5)),
          `${word}: ${span.join()}`,
        );
      });
    }),
    { numRuns: 2000 },
  );
});

test("a board that does not read back is as none", () => {
  for (const text of [null, "", "{", "[1]", '{"age-high":{"sinceMs":"x"}}']) assert.deepEqual(parseBoard(text), {});
});

test("every rule has its lower threshold below its upper one, and both take their time", () => {
  for (const rule of Object.values<AlertRule>(ALERT_RULES)) {
    assert.ok(rule.resolvesBelow <= rule.firesAt && rule.forS > 0 && rule.resolveForS > 0, rule.measure);
    assert.match(rule.sentence, /^[A-Z].*[.?]$/);
  }
});

test("other figures are taken by name; what is wrong in them is refused", () => {
  const rules = v.parse(AlertFigures, '{"age-high":{"fires_at":3,"for_s":1,"resolves_below":2}}');
  const { firesAt, forS, resolvesBelow, resolveForS } = rules["age-high"] ?? assert.fail();
  assert.deepEqual([firesAt, forS, resolvesBelow, resolveForS], [3, 1, 2, 60]);
  assert.deepEqual(v.parse(AlertFigures, "{}"), ALERT_RULES);
  for (const text of [
    "",
    "{",
    "[]",
    '{"unknown":{}}',
    '{"constructor":{"fires_at":3}}',
    '{"__proto__":{"fires_at":3}}',
    '{"age-high":{"fires_at":30},"age-h\\u0069gh":{"fires_at":31}}',
    '{"age-high":{"fires_at":30,"fires_at":31}}',
    '{"age-high":{"fires_at":-1}}',
    '{"age-high":{"fires_at":1}}',
    '{"age-high":{"x":1}}',
  ])
    assert.equal(v.safeParse(AlertFigures, text).success, false, text);
});
