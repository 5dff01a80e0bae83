import assert from "node:assert/strict";
import { test } from "node:test";
import { FifoRow, FlowRows, admitsAll } from "@posthaste/shared/lib/flow-rows.ts";
import fc from "fast-check";

interface Item {
  readonly tenant: string;
  readonly flow: number;
  readonly number: number;
}

function rowsOf(items: readonly Item[]): FlowRows<Item, FifoRow<Item>> {
  const rows = new FlowRows<Item, FifoRow<Item>>();
  for (const item of items) {
    let row = rows.find(item.tenant, item.flow);
    if (row === undefined) rows.add(item.tenant, item.flow, (row = new FifoRow()));
    row.push(item);
  }
  return rows;
}

function many(tenant: string, flow: number, count: number): Item[] {
  return Array.from({ length: count }, (_, number) => ({ tenant, flow, number }));
}

function take(rows: FlowRows<Item, FifoRow<Item>>, max: number): Item[] {
  const taken: Item[] = [];
  rows.moveTo(taken, max, admitsAll);
  return taken;
}

test("tenants get equal shares, however much of one waits, and within a tenant flows do", () => {
  const rows = rowsOf([...many("big", 1, 1000), ...many("big", 2, 1000), ...many("small", 1, 3)]);
  const taken = take(rows, 8);
  const count = (tenant: string, flow: number) =>
    taken.filter((item) => item.tenant === tenant && item.flow === flow).length;
  assert.deepEqual([count("big", 1) + count("big", 2), count("small", 1)], [5, 3]);
  assert.ok(count("big", 1) >= 2 && count("big", 2) >= 2);
});

test("who is served one at a time is served in turn", () => {
  const rows = rowsOf([...many("a", 1, 100), ...many("a", 2, 100), ...many("b", 1, 100)]);
  const taken = Array.from({ length: 8 }, () => take(rows, 1)[0]);
  assert.deepEqual(
    taken.map((item) => `${item?.tenant}${item?.flow}`),
    ["a1", "b1", "a2", "b1", "a1", "b1", "a2", "b1"],
  );
});

test("the surplus is of the tenant that has most, and of its longer flows", () => {
  const rows = rowsOf([...many("a", 1, 20), ...many("b", 1, 2), ...many("b", 2, 30), ...many("b", 3, 20)]);
  const taken: Item[] = [];
  rows.moveSurplusTo(taken, 10);
  assert.equal(taken.length, 10);
  assert.ok(taken.every(({ tenant, flow }) => tenant === "b" && flow > 1));
});

test("all comes out once, and each flow in order, whatever is refused on the way", () => {
  const items = fc.array(fc.record({ tenant: fc.constantFrom("a", "b", "c"), flow: fc.nat(3), number: fc.nat() }));
  fc.assert(
    fc.property(items, fc.array(fc.tuple(fc.integer({ min: 1, max: 5 }), fc.nat(5))), (given, takes) => {
      const rows = rowsOf(given);
      const out: Item[] = [];
      for (const [max, refused] of takes) {
        const taken: Item[] = [];
        rows.moveTo(taken, max, (_tenant, flow) => flow !== refused);
        assert.ok(taken.length <= max && taken.every(({ flow }) => flow !== refused));
        out.push(...taken);
      }
      out.push(...take(rows, Infinity));
      assert.equal(out.length, given.length);
      for (const tenant of ["a", "b", "c"]) {
        for (const flow of [0, 1, 2, 3]) {
          const own = (list: readonly Item[]) => list.filter((item) => item.tenant === tenant && item.flow === flow);
          assert.deepEqual(own(out), own(given));
        }
      }
    }),
  );
});
