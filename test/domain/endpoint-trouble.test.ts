/** When an endpoint that fails is told of and disabled: the rules, and what holds for any history of attempts. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Endpoint } from "@posthaste/shared/domain/endpoint.ts";
import {
  afterFailure,
  afterNotice,
  afterSuccess,
  disabled,
  troubleAfterChange,
} from "@posthaste/shared/domain/endpoint-trouble.ts";
import { endpointAlert, noticeEvent } from "@posthaste/shared/domain/own-event.ts";
import fc from "fast-check";
import { START_MS, endpointOf } from "../support/samples.ts";

const DAY_MS = 86_400_000;
const DISABLE_MS = 5 * DAY_MS;

type Happening = "failure" | "success" | "sent" | "enabled";

/** The endpoint after the happenings, each at its day; a notice is sent when `sent` comes, or at once. */
function after(history: readonly (readonly [day: number, what: Happening])[], sendsAtOnce = true): Endpoint {
  return history.reduce((endpoint, [day, what]) => {
    const changed = happened(endpoint, START_MS + day * DAY_MS, what);
    return sendsAtOnce ? sent(changed) : changed;
  }, endpointOf("ep1"));
}

function happened(endpoint: Endpoint, nowMs: number, what: Happening): Endpoint {
  switch (what) {
    case "failure":
      return afterFailure(endpoint, nowMs, DISABLE_MS);
    case "success":
      return afterSuccess(endpoint, nowMs);
    case "sent":
      return sent(endpoint);
    case "enabled":
      return { ...endpoint, status: "active", trouble: troubleAfterChange(endpoint.trouble, nowMs) };
  }
}

function sent(endpoint: Endpoint): Endpoint {
  const notice = endpoint.trouble?.notice ?? null;
  return notice === null || notice.isSent ? endpoint : afterNotice(endpoint, notice);
}

/** A failure every half day. */
function failuresFrom(fromDay: number, toDay: number): (readonly [number, Happening])[] {
  return Array.from({ length: Math.round((toDay - fromDay) * 2) + 1 }, (_, n) => [fromDay + n / 2, "failure"]);
}

test("the owner is told after half of the time, and the endpoint is disabled after all of it", () => {
  const before = after(failuresFrom(0, 2));
  assert.equal(before.trouble?.notice, null);
  const told = after(failuresFrom(0, 2.5));
  assert.deepEqual([told.status, told.trouble?.notice?.kind], ["active", "failing"]);
  assert.equal(after(failuresFrom(0, 4.5)).status, "active");
  const over = after(failuresFrom(0, 5));
  assert.deepEqual([over.status, over.trouble?.notice?.kind], ["disabled", "disabled"]);
  assert.equal(over.statusReason, `no attempt succeeded since ${new Date(START_MS).toISOString()}`);
});

test("one success starts the clock anew, and the owner hears of it if they heard of the failures", () => {
  const unheard = after([...failuresFrom(0, 2), [2.1, "success"]]);
  assert.equal(unheard.trouble, null);
  const history = [...failuresFrom(0, 3), [3.1, "success"]] as const;
  assert.equal(after(history, false).trouble?.notice?.kind, "recovered");
  assert.equal(after(history).trouble, null);
  assert.equal(after([...history, ...failuresFrom(3.2, 7.7)]).status, "active");
});

test("a failure in the moment before the recovery is told keeps both", () => {
  const endpoint = after([...failuresFrom(0, 3), [3, "sent"], [3.1, "success"], [3.2, "failure"]], false);
  assert.equal(endpoint.trouble?.notice?.kind, "recovered");
  assert.equal(sent(endpoint).trouble?.sinceMs, START_MS + 3.2 * DAY_MS);
});

test("nobody is disabled whose warning was not sent", () => {
  const unsent = after(failuresFrom(0, 9), false);
  assert.deepEqual([unsent.status, unsent.trouble?.notice?.isSent], ["active", false]);
  const late = after([...failuresFrom(0, 9), [9, "sent"], [9.5, "failure"]], false);
  assert.equal(late.status, "disabled");
});

test("who is warned late has a quarter of the time", () => {
  const silent = [
    [0, "failure"],
    [2.4, "failure"],
    [4.8, "failure"],
    [5.2, "failure"],
  ] as const;
  assert.equal(after(silent).status, "active");
  assert.equal(after([...silent, [6.1, "failure"]]).status, "disabled");
});

test("an endpoint that comes back by its owner is not disabled by one failure, nor by one after a long silence", () => {
  const back = [...failuresFrom(0, 5), [6, "enabled"]] as const;
  assert.equal(after([...back, [6.1, "failure"]]).status, "active");
  assert.equal(after([...back, [20, "failure"]]).status, "active");
  assert.equal(after([...back, ...failuresFrom(6.1, 10.5)]).status, "active");
  assert.equal(after([...back, ...failuresFrom(6.1, 11.1)]).status, "disabled");
  assert.equal(after([...back, [6.1, "success"]], false).trouble?.notice?.kind, "recovered");
});

test("what was disabled for a 410 is told once", () => {
  const gone = disabled(endpointOf("ep1"), "the receiver answered 410 Gone", START_MS);
  assert.deepEqual(gone.trouble?.notice, { kind: "disabled", sinceMs: START_MS, atMs: START_MS, isSent: false });
  const told = sent(gone);
  assert.equal(told.trouble?.notice?.isSent, true);
  assert.equal(afterFailure(told, START_MS + DISABLE_MS, DISABLE_MS), told);
});

test("for any history: disabled only after the whole time without a success, told at least a quarter of it before", () => {
  const step = fc.tuple(
    fc.integer({ min: 1, max: 1.5 * DAY_MS }),
    fc.constantFrom<Happening>("failure", "failure", "failure", "sent", "sent", "failure", "failure", "success"),
  );
  let disabledCount = 0;
  fc.assert(
    fc.property(fc.array(step, { minLength: 20, maxLength: 60 }), (steps) => {
      let endpoint = endpointOf("ep1");
      let nowMs = START_MS;
      let wellAtMs = START_MS - 1;
      let toldAtMs = Infinity;
      for (const [waitMs, what] of steps) {
        nowMs += waitMs;
        const before = endpoint;
        endpoint = happened(endpoint, nowMs, what);
        if (what === "success") wellAtMs = nowMs;
        if (what === "sent" && before.trouble?.notice?.kind === "failing") toldAtMs = before.trouble.notice.atMs;
        if (endpoint.status !== "disabled") continue;
        disabledCount++;
        assert.ok(nowMs - wellAtMs >= DISABLE_MS, "one succeeded meanwhile");
        assert.ok(nowMs - toldAtMs >= DISABLE_MS / 4, "the owner was told too late");
        assert.ok(toldAtMs > wellAtMs, "the owner was told of an earlier time");
        return;
      }
    }),
    { numRuns: 3000 },
  );
  assert.ok(disabledCount > 30, `only ${disabledCount} of the histories end so`);
});

test("an endpoint that fails all the time is written a bounded number of times", () => {
  let endpoint = endpointOf("ep1");
  let writes = 0;
  for (let nowMs = START_MS; nowMs <= START_MS + DISABLE_MS; nowMs += 60_000) {
    const next = sent(afterFailure(endpoint, nowMs, DISABLE_MS));
    if (next !== endpoint) writes++;
    endpoint = next;
  }
  assert.equal(endpoint.status, "disabled");
  assert.ok(writes <= 13, `${writes} writes`);
});

test("a notice that is sent again says the same, whatever came in between", () => {
  const said = (endpoint: Endpoint) => {
    const { trouble } = endpoint;
    assert.ok(trouble?.notice);
    return [
      noticeEvent(endpoint, trouble, trouble.notice, DISABLE_MS),
      endpointAlert(endpoint, trouble, trouble.notice),
    ];
  };
  const failing = after([...failuresFrom(0, 2.5)], false);
  assert.equal(failing.trouble?.notice?.kind, "failing");
  const afterSilence = happened(failing, START_MS + 6 * DAY_MS, "failure");
  assert.notEqual(afterSilence.trouble?.sinceMs, failing.trouble.sinceMs);
  assert.deepEqual(said(afterSilence), said(failing));
  const recovered = happened(sent(failing), START_MS + 3 * DAY_MS, "success");
  assert.equal(recovered.trouble?.notice?.kind, "recovered");
  const failedSince = happened(recovered, START_MS + 4 * DAY_MS, "failure");
  assert.deepEqual(said(failedSince), said(recovered));
});
