/** What every implementation of the port `leases` promises. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { OpenHarness } from "./harness.ts";

const NAME = "recover:ep_a";
const LEASE_MS = 15_000;
const acquired = { kind: "acquired" };

export function leasesContract(name: string, open: OpenHarness): void {
  test(`${name} leases: of calls at the same time one gets the lease, and the others hear how long it has`, async () => {
    await using harness = await open();
    const { leases } = harness.drivers;
    const answers = await Promise.all(["one", "two", "three"].map((holder) => leases.acquire(NAME, holder, LEASE_MS)));
    const held = { kind: "held", retryAfterMs: LEASE_MS };
    assert.deepEqual(
      answers.toSorted((left, right) => left.kind.localeCompare(right.kind)),
      [acquired, held, held],
    );
  });

  test(`${name} leases: a lease is held to its end, and then free`, async () => {
    await using harness = await open();
    const { leases } = harness.drivers;
    await leases.acquire(NAME, "one", LEASE_MS);
    await harness.clock.advance(LEASE_MS - 1);
    assert.deepEqual(await leases.acquire(NAME, "two", LEASE_MS), { kind: "held", retryAfterMs: 1 });
    await harness.clock.advance(1);
    assert.deepEqual(await leases.acquire(NAME, "two", LEASE_MS), acquired);
  });

  test(`${name} leases: a clock that is set back by an hour makes no lease longer than its time, nor shorter`, async () => {
    await using harness = await open();
    const { leases } = harness.drivers;
    await leases.acquire(NAME, "one", LEASE_MS);
    await harness.clock.advance(5000);
    harness.clock.stepWall(-3600_000);
    const held = await leases.acquire(NAME, "two", LEASE_MS);
    assert.ok(held.kind === "held" && held.retryAfterMs >= LEASE_MS - 5000 && held.retryAfterMs <= LEASE_MS);
    await harness.clock.advance(held.retryAfterMs);
    assert.deepEqual(await leases.acquire(NAME, "two", LEASE_MS), acquired);
  });

  test(`${name} leases: a released lease is free at once`, async () => {
    await using harness = await open();
    const { leases } = harness.drivers;
    await leases.acquire(NAME, "one", LEASE_MS);
    await leases.release(NAME, "one");
    assert.deepEqual(await leases.acquire(NAME, "two", LEASE_MS), acquired);
  });

  test(`${name} leases: the holder may ask again, and has it for the whole time from then on`, async () => {
    await using harness = await open();
    const { leases } = harness.drivers;
    await leases.acquire(NAME, "one", LEASE_MS);
    await harness.clock.advance(10_000);
    assert.deepEqual(await leases.acquire(NAME, "one", LEASE_MS), acquired);
    await harness.clock.advance(10_000);
    assert.deepEqual(await leases.acquire(NAME, "two", LEASE_MS), { kind: "held", retryAfterMs: LEASE_MS - 10_000 });
  });

  test(`${name} leases: who comes too late with its release does not end the lease of the next holder`, async () => {
    await using harness = await open();
    const { leases } = harness.drivers;
    await leases.acquire(NAME, "one", LEASE_MS);
    await harness.clock.advance(LEASE_MS);
    await leases.acquire(NAME, "two", LEASE_MS);
    await leases.release(NAME, "one");
    assert.equal((await leases.acquire(NAME, "one", LEASE_MS)).kind, "held");
  });

  test(`${name} leases: a release of what nobody holds does nothing`, async () => {
    await using harness = await open();
    const { leases } = harness.drivers;
    await leases.release(NAME, "one");
    assert.deepEqual(await leases.acquire(NAME, "two", LEASE_MS), acquired);
  });

  test(`${name} leases: two names are held apart from one another`, async () => {
    await using harness = await open();
    const { leases } = harness.drivers;
    await leases.acquire(NAME, "one", LEASE_MS);
    assert.deepEqual(await leases.acquire("recover:ep_b", "two", LEASE_MS), acquired);
  });

  test(`${name} leases: the lease of a process that died ends when its time is over, if not before`, async () => {
    await using harness = await open();
    await harness.drivers.leases.acquire(NAME, "one", LEASE_MS);
    await harness.reopen();
    await harness.clock.advance(LEASE_MS);
    assert.deepEqual(await harness.drivers.leases.acquire(NAME, "two", LEASE_MS), acquired);
  });
}
