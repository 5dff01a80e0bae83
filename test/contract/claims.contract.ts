/** What every implementation of the port `claims` promises. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { ClaimRequest } from "@posthaste/shared/ports/claims.ts";
import { CLAIM_KEPT_MS, CLAIM_LEASE_MS } from "@posthaste/shared/ports/claims.ts";
import type { OpenHarness } from "./harness.ts";
import { takeDue, takeSome, withCode } from "./harness.ts";
import { START_MS, TENANT, sampleEnvelope, sampleScheduled } from "../support/samples.ts";

const HOUR_MS = 3600 * 1000;
const KEY = "key:order-17";
const ANSWER = { status: 202, body: '{"id":"evt_first"}' };

function request(parts: Partial<ClaimRequest> = {}): ClaimRequest {
  return { tenant: TENANT, key: KEY, fingerprint: "aa11", eventIds: ["evt_first"], acceptedAtMs: START_MS, ...parts };
}

export function claimsContract(name: string, open: OpenHarness): void {
  test(`${name} claims: a new key is claimed with the ids of the request`, async () => {
    await using harness = await open();
    const claim = await harness.drivers.claims.claim(request({ eventIds: ["evt_1", "evt_2"] }));
    assert.deepEqual(claim, { kind: "claimed", eventIds: ["evt_1", "evt_2"], acceptedAtMs: START_MS, isRetake: false });
  });

  test(`${name} claims: of calls at the same time one is claimed and the others are in flight`, async () => {
    await using harness = await open();
    const claims = await Promise.all(
      [1, 2, 3].map((n) => harness.drivers.claims.claim(request({ eventIds: [`evt_${n}`] }))),
    );
    assert.deepEqual(claims.map(({ kind }) => kind).toSorted(), ["claimed", "in-flight", "in-flight"]);
  });

  test(`${name} claims: a clock that is set back by an hour holds what is in flight no longer than its lease`, async () => {
    await using harness = await open();
    const { claims } = harness.drivers;
    await claims.claim(request());
    harness.clock.stepWall(-HOUR_MS);
    const claim = await claims.claim(request());
    assert.ok(claim.kind === "in-flight" && claim.retryAfterMs <= CLAIM_LEASE_MS, JSON.stringify(claim));
    await harness.clock.advance(claim.retryAfterMs);
    const again = await claims.claim(request({ eventIds: ["evt_other"], acceptedAtMs: START_MS + 1 }));
    assert.deepEqual(again, { kind: "claimed", eventIds: ["evt_first"], acceptedAtMs: START_MS, isRetake: true });
    await claims.complete(TENANT, KEY, ANSWER);
    harness.clock.stepWall(HOUR_MS);
    assert.deepEqual(await claims.claim(request()), { kind: "answered", answer: ANSWER });
  });

  test(`${name} claims: past its share of the bytes a tenant's new key is refused, what stands and other tenants go on`, async () => {
    await using harness = await open({ claimBytesMax: 40_000 });
    const { claims } = harness.drivers;
    const answer = { status: 202, body: JSON.stringify({ id: "x".repeat(500) }) };
    const take = async (tenant: string, index: number): Promise<void> => {
      await claims.claim(request({ tenant, key: `key:${index}` }));
      await claims.complete(tenant, `key:${index}`, answer);
    };
    let taken = 0;
    await assert.rejects(async () => {
      for (; taken < 1000; taken++) await take(TENANT, taken);
    }, withCode("overloaded"));
    assert.ok(taken > 5 && taken < 40, `${taken} claims of about 1 KB in 20,000 bytes`);
    assert.deepEqual(await claims.claim(request({ key: "key:0" })), { kind: "answered", answer });
    await take("globex", 0);
    let others = 0;
    await assert.rejects(async () => {
      for (; others < 1000; others++) await take(`tenant-${others}`, 0);
    }, withCode("overloaded"));
    assert.ok(others > 5 && others < 60, `${others} more of all tenants`);
    await harness.reopen();
    await assert.rejects(harness.drivers.claims.claim(request({ key: "key:new" })), withCode("overloaded"));
  });

  test(`${name} claims: a claim that was given up is weighed anew for another request, and its own weight is no obstacle`, async () => {
    await using harness = await open({ claimBytesMax: 40_000 });
    const { claims } = harness.drivers;
    const keys = Array.from({ length: 4 }, (_, index) => `key:${index}`);
    for (const key of keys) {
      await claims.claim(request({ key }));
      await claims.abandon(TENANT, key);
    }
    const eventIds = Array.from({ length: 300 }, (_, index) => `evt_${String(index).padStart(20, "0")}`);
    let taken = 0;
    await assert.rejects(async () => {
      for (; taken < keys.length; taken++) {
        const key = keys[taken] ?? "";
        // Given up and taken again and again: what it weighs does not add up.
        for (let round = 0; round < 5; round++) {
          await claims.claim(request({ key, fingerprint: `other-${round}`, eventIds }));
          await claims.abandon(TENANT, key);
        }
      }
    }, withCode("overloaded"));
    assert.ok(taken >= 1 && taken <= 3, `${taken} claims of about 8 KB in 20,000 bytes`);
  });

  test(`${name} claims: claims that are over make room`, async () => {
    await using harness = await open({ claimBytesMax: 10_000 });
    const fill = async (round: number): Promise<number> => {
      for (let count = 0; count < 100; count++) {
        try {
          const key = `key:${round}-${count}`;
          await harness.drivers.claims.claim(request({ key }));
          await harness.drivers.claims.complete(TENANT, key, ANSWER);
        } catch {
          return count;
        }
      }
      return 100;
    };
    const first = await fill(1);
    assert.ok(first > 3 && first < 40);
    await harness.clock.advance(CLAIM_KEPT_MS + 4 * HOUR_MS);
    assert.equal(await fill(2), first);
  });

  test(`${name} claims: while the lease runs a repeat hears how long it has`, async () => {
    await using harness = await open();
    await harness.drivers.claims.claim(request());
    await harness.clock.advance(5000);
    const again = await harness.drivers.claims.claim(request());
    assert.deepEqual(again, { kind: "in-flight", retryAfterMs: CLAIM_LEASE_MS - 5000 });
  });

  test(`${name} claims: after complete() a repeat gets the stored answer, also after a crash`, async () => {
    await using harness = await open();
    await harness.drivers.claims.claim(request());
    await harness.drivers.claims.complete(TENANT, KEY, ANSWER);
    assert.deepEqual(await harness.drivers.claims.claim(request()), { kind: "answered", answer: ANSWER });
    await harness.reopen();
    assert.deepEqual(await harness.drivers.claims.claim(request()), { kind: "answered", answer: ANSWER });
  });

  test(`${name} claims: another fingerprint is a mismatch, during the lease, after it and after the answer`, async () => {
    await using harness = await open();
    const other = request({ fingerprint: "bb22" });
    await harness.drivers.claims.claim(request());
    assert.deepEqual(await harness.drivers.claims.claim(other), { kind: "mismatch" });
    await harness.clock.advance(CLAIM_LEASE_MS);
    assert.deepEqual(await harness.drivers.claims.claim(other), { kind: "mismatch" });
    await harness.drivers.claims.complete(TENANT, KEY, ANSWER);
    assert.deepEqual(await harness.drivers.claims.claim(other), { kind: "mismatch" });
  });

  test(`${name} claims: an expired lease is retaken with the ids of the first holder`, async () => {
    await using harness = await open();
    await harness.drivers.claims.claim(request());
    await harness.clock.advance(CLAIM_LEASE_MS);
    const retaken = await harness.drivers.claims.claim(
      request({ eventIds: ["evt_other"], acceptedAtMs: START_MS + 9 }),
    );
    assert.deepEqual(retaken, { kind: "claimed", eventIds: ["evt_first"], acceptedAtMs: START_MS, isRetake: true });
  });

  test(`${name} claims: a retaken lease runs its full time`, async () => {
    await using harness = await open();
    await harness.drivers.claims.claim(request());
    await harness.clock.advance(CLAIM_LEASE_MS);
    await harness.drivers.claims.claim(request());
    await harness.clock.advance(CLAIM_LEASE_MS - 1);
    assert.deepEqual(await harness.drivers.claims.claim(request()), { kind: "in-flight", retryAfterMs: 1 });
  });

  test(`${name} claims: a crash leaves a lease that ends in time and is retaken with the same ids`, async () => {
    await using harness = await open();
    await harness.drivers.claims.claim(request());
    await harness.reopen();
    await harness.clock.advance(CLAIM_LEASE_MS);
    const retaken = await harness.drivers.claims.claim(
      request({ eventIds: ["evt_other"], acceptedAtMs: START_MS + 9 }),
    );
    assert.deepEqual(retaken, { kind: "claimed", eventIds: ["evt_first"], acceptedAtMs: START_MS, isRetake: true });
  });

  test(`${name} claims: an abandoned claim can be retaken at once, with the same ids`, async () => {
    await using harness = await open();
    await harness.drivers.claims.claim(request());
    await harness.drivers.claims.abandon(TENANT, KEY);
    const retaken = await harness.drivers.claims.claim(
      request({ eventIds: ["evt_other"], acceptedAtMs: START_MS + 9 }),
    );
    assert.deepEqual(retaken, { kind: "claimed", eventIds: ["evt_first"], acceptedAtMs: START_MS, isRetake: true });
  });

  test(`${name} claims: an abandoned claim is free for another request, at a later time, also after a crash`, async () => {
    for (const key of [KEY, "id:order-17"]) {
      await using harness = await open();
      const { claims } = harness.drivers;
      await claims.claim(request({ key }));
      await claims.abandon(TENANT, key);
      const other = request({ key, fingerprint: "bb22", eventIds: ["evt_other"] });
      const later = { kind: "claimed", eventIds: ["evt_other"], acceptedAtMs: START_MS + 1, isRetake: false };
      assert.deepEqual(await claims.claim(other), later);
      assert.deepEqual(await claims.claim(request({ key })), { kind: "mismatch" });
      await claims.abandon(TENANT, key);
      await harness.reopen();
      const third = await harness.drivers.claims.claim(request({ key, acceptedAtMs: START_MS + HOUR_MS }));
      assert.deepEqual(third, {
        kind: "claimed",
        eventIds: ["evt_first"],
        acceptedAtMs: START_MS + HOUR_MS,
        isRetake: false,
      });
    }
  });

  test(`${name} claims: the id of an event that is kept is not free for another, abandoned or not`, async () => {
    await using harness = await open();
    const key = "id:evt_kept";
    await harness.drivers.claims.claim(request({ key, eventIds: ["evt_kept"] }));
    await harness.drivers.lanes.append([sampleEnvelope("evt_kept")]);
    await harness.drivers.claims.abandon(TENANT, key);
    assert.deepEqual(await harness.drivers.claims.claim(request({ key, fingerprint: "bb22" })), { kind: "mismatch" });
    assert.equal((await harness.drivers.claims.claim(request({ key }))).kind, "claimed");
  });

  test(`${name} claims: abandon() after complete() leaves the answer`, async () => {
    await using harness = await open();
    await harness.drivers.claims.claim(request());
    await harness.drivers.claims.complete(TENANT, KEY, ANSWER);
    await harness.drivers.claims.abandon(TENANT, KEY);
    assert.equal((await harness.drivers.claims.claim(request())).kind, "answered");
  });

  test(`${name} claims: the first answer stays, whatever is completed after it`, async () => {
    await using harness = await open();
    await harness.drivers.claims.claim(request());
    await harness.drivers.claims.complete(TENANT, KEY, ANSWER);
    await harness.drivers.claims.complete(TENANT, KEY, { status: 500, body: "{}" });
    assert.deepEqual(await harness.drivers.claims.claim(request()), { kind: "answered", answer: ANSWER });
  });

  test(`${name} claims: keys of two tenants and of two kinds do not meet`, async () => {
    await using harness = await open();
    const requests = [request(), request({ tenant: "globex" }), request({ key: "id:order-17" })];
    for (const one of requests) assert.equal((await harness.drivers.claims.claim(one)).kind, "claimed");
  });

  test(`${name} claims: an answer is kept for 24 h from its completion and then the key is free`, async () => {
    await using harness = await open();
    await harness.drivers.claims.claim(request());
    await harness.clock.advance(10_000);
    await harness.drivers.claims.complete(TENANT, KEY, ANSWER);
    await harness.clock.advance(CLAIM_KEPT_MS - 1);
    assert.equal((await harness.drivers.claims.claim(request())).kind, "answered");
    await harness.clock.advance(1);
    const fresh = await harness.drivers.claims.claim(request({ fingerprint: "bb22", eventIds: ["evt_new"] }));
    assert.deepEqual(fresh, { kind: "claimed", eventIds: ["evt_new"], acceptedAtMs: START_MS, isRetake: false });
  });

  test(`${name} claims: claimAgain() answers for a claim that stands as claim() does, in each state of it`, async () => {
    await using harness = await open();
    const { claims } = harness.drivers;
    const again = (parts: Partial<ClaimRequest> = {}) => claims.claimAgain(request({ eventIds: ["evt_x"], ...parts }));
    await claims.claim(request());
    assert.deepEqual(await again(), { kind: "in-flight", retryAfterMs: CLAIM_LEASE_MS });
    assert.deepEqual(await again({ fingerprint: "bb22" }), { kind: "mismatch" });
    const retaken = { kind: "claimed", eventIds: ["evt_first"], acceptedAtMs: START_MS, isRetake: true };
    await harness.clock.advance(CLAIM_LEASE_MS);
    assert.deepEqual(await again(), retaken);
    assert.equal((await again()).kind, "in-flight", "it is held");
    await claims.abandon(TENANT, KEY);
    assert.deepEqual(await again(), retaken);
    await claims.complete(TENANT, KEY, ANSWER);
    assert.deepEqual(await again(), { kind: "answered", answer: ANSWER });
  });

  test(`${name} claims: claimAgain() makes no claim: of no new key, of one that is over, of one that another request gave up`, async () => {
    await using harness = await open({ claimBytesMax: 2000 });
    const { claims } = harness.drivers;
    for (let index = 0; index < 20; index++) {
      const key = `key:unknown-${index}`;
      assert.deepEqual(await claims.claimAgain(request({ key })), { kind: "unclaimed" }, "and takes no room");
    }
    const first = { kind: "claimed", eventIds: ["evt_first"], acceptedAtMs: START_MS, isRetake: false };
    assert.deepEqual(await claims.claim(request({ fingerprint: "bb22" })), first, "what asked before held nothing");
    await claims.abandon(TENANT, KEY);
    assert.deepEqual(await claims.claimAgain(request()), { kind: "unclaimed" });
    assert.equal((await claims.claim(request({ fingerprint: "bb22" }))).kind, "claimed", "the one given up is there");
    await claims.complete(TENANT, KEY, ANSWER);
    await harness.clock.advance(CLAIM_KEPT_MS);
    assert.deepEqual(await claims.claimAgain(request({ fingerprint: "bb22" })), { kind: "unclaimed" });
  });

  test(`${name} claims: a batch keeps its thousand ids and a long answer`, async () => {
    await using harness = await open();
    const eventIds = Array.from({ length: 1000 }, (_, index) => `evt_${index}`);
    const answer = { status: 202, body: JSON.stringify({ data: eventIds }) };
    await harness.drivers.claims.claim(request({ eventIds }));
    await harness.clock.advance(CLAIM_LEASE_MS);
    const retaken = await harness.drivers.claims.claim(request({ eventIds: [] }));
    assert.deepEqual(retaken, { kind: "claimed", eventIds, acceptedAtMs: START_MS, isRetake: true });
    await harness.drivers.claims.complete(TENANT, KEY, answer);
    assert.deepEqual(await harness.drivers.claims.claim(request()), { kind: "answered", answer });
  });

  test(`${name} claims: an event's own id stays taken while the event waits, and is free once it is not kept`, async () => {
    await using harness = await open();
    const { claims, lanes, retryQueue } = harness.drivers;
    const own = request({ key: "id:evt_first" });
    const other = { ...own, fingerprint: "bb22" };
    const envelope = sampleEnvelope("evt_first");
    await claims.claim(own);
    await lanes.append([envelope]);
    await claims.complete(TENANT, own.key, ANSWER);
    await retryQueue.schedule([sampleScheduled([envelope], { notBeforeMs: START_MS + 75 * HOUR_MS })]);
    await lanes.ack(await takeSome(harness, "medium"));
    for (const hours of [25, 49]) {
      await harness.clock.advance(hours * HOUR_MS);
      assert.deepEqual(await claims.claim(own), { kind: "answered", answer: ANSWER });
      assert.deepEqual(await claims.claim(other), { kind: "mismatch" });
    }
    await harness.clock.advance(2 * HOUR_MS);
    await retryQueue.ack(await takeDue(harness));
    await harness.clock.advance(25 * HOUR_MS);
    assert.equal(await harness.drivers.ledger.event(TENANT, "evt_first"), null);
    assert.equal((await claims.claim(other)).kind, "claimed");
  });

  test(`${name} claims: an id is not free in the moment between the end of its claim and that of its event`, async () => {
    await using harness = await open();
    const own = request({ key: "id:evt_first" });
    await harness.drivers.claims.claim(own);
    await harness.clock.advance(5000);
    await harness.drivers.lanes.append([sampleEnvelope("evt_first")]);
    await harness.clock.advance(CLAIM_KEPT_MS - 5000);
    const retaken = await harness.drivers.claims.claim(own);
    assert.deepEqual(retaken, { kind: "claimed", eventIds: ["evt_first"], acceptedAtMs: START_MS, isRetake: true });
  });
}
