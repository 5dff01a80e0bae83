import assert from "node:assert/strict";
import { test } from "node:test";

import {
  FairTurns,
  SUSPECTS_MAX,
  SUSPECTS_PER_TENANT_MAX,
  TURNS_MAX,
  TURNS_PER_TENANT_MAX,
  TURNS_WAITED_FOR_MAX,
} from "@posthaste/shared/drivers/http/fair-turns.ts";
import type { Cancel } from "@posthaste/shared/lib/ambient.ts";

import { running } from "../../support/receiver.ts";

/** Asks `count` times; gives what ends each turn that was given, in order. */
async function takeMany(turns: FairTurns, tenant: string, count: number, isSuspect = false): Promise<Cancel[]> {
  const given: Cancel[] = [];
  for (let nth = 0; nth < count; nth++) {
    turns.take(tenant, isSuspect, running).then(
      (end) => given.push(end),
      () => undefined,
    );
  }
  await settle();
  return given;
}

const settle = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

test("a tenant holds few turns, suspects fewer; the row moves in order when one ends", async () => {
  const turns = new FairTurns();
  const suspects = await takeMany(turns, "a", TURNS_PER_TENANT_MAX, true);
  assert.equal(suspects.length, SUSPECTS_PER_TENANT_MAX);
  const others = await takeMany(turns, "a", TURNS_PER_TENANT_MAX);
  assert.equal(others.length, TURNS_PER_TENANT_MAX - SUSPECTS_PER_TENANT_MAX);
  suspects.shift()?.();
  await settle();
  assert.equal(suspects.length, SUSPECTS_PER_TENANT_MAX);
  others.shift()?.();
  await settle();
  assert.equal(others.length, TURNS_PER_TENANT_MAX - SUSPECTS_PER_TENANT_MAX);
  assert.equal(turns.counts().held, TURNS_PER_TENANT_MAX);
});

test("past the bound of all tenants the turns go round, and suspects never hold more than half", async () => {
  const turns = new FairTurns();
  const tenants = Array.from({ length: (2 * TURNS_MAX) / TURNS_PER_TENANT_MAX }, (_, nth) => `t${nth}`);
  for (const tenant of tenants) await takeMany(turns, tenant, SUSPECTS_PER_TENANT_MAX, true);
  assert.equal(turns.counts().held, SUSPECTS_MAX);
  const given = await Promise.all(tenants.map((tenant) => takeMany(turns, tenant, TURNS_PER_TENANT_MAX)));
  assert.equal(turns.counts().held, TURNS_MAX);
  const small = await takeMany(turns, "small", 1);
  assert.equal(small.length, 0);
  // One turn to each tenant before any gets a second: after as many ends as there are tenants the newcomer has had his.
  for (let ends = 0; ends < tenants.length && small.length === 0; ends++) {
    given.find((ofTenant) => ofTenant.length > 0)?.shift()?.();
    await settle();
  }
  assert.equal(small.length, 1);
});

test("who leaves the row frees his place; nothing is remembered of a tenant that is gone", async () => {
  const turns = new FairTurns();
  const held = await takeMany(turns, "a", TURNS_PER_TENANT_MAX);
  const stop = new AbortController();
  const waiting = turns.take("a", false, stop.signal);
  stop.abort(new Error("gone"));
  await assert.rejects(waiting, /gone/);
  for (const end of held) end();
  assert.deepEqual(turns.counts(), { held: 0, waiting: 0, tenants: 0 });
});

test("so many wait and no more", async () => {
  const turns = new FairTurns();
  await takeMany(turns, "a", TURNS_PER_TENANT_MAX + TURNS_WAITED_FOR_MAX);
  assert.equal(turns.counts().waiting, TURNS_WAITED_FOR_MAX);
  await assert.rejects(turns.take("a", false, running), /wait already/);
});
