/** What listen takes: live and from the list, each event once; what is lost, late or too much is told. Against a client of scripts. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Client, ListedEvent, TailEntry } from "@posthaste/client/public.ts";
import { NoAnswerError } from "@posthaste/client/public.ts";
import { runtimeSurroundings } from "@posthaste/client/surroundings.ts";
import type { Notice } from "posthaste/listen/arrivals.ts";
import { CATCH_UP_MAX, fillInbox } from "posthaste/listen/arrivals.ts";
import { Inbox } from "posthaste/listen/inbox.ts";
import { createManualClock } from "../support/clocks/manual-clock.ts";

const AT = "2026-01-31T12:00:00.000Z";
const START_MS = Date.parse(AT);
const WATCHING: TailEntry = { event: "watching", data: { at: AT } };

function accepted(id: string, type = "order.paid"): TailEntry {
  const facts = { tenant: "default", type, lane: "medium", accepted_at: AT, deliver_at: null, body_bytes: 1 } as const;
  return { event: "accepted", data: { id, ...facts } };
}

function listed(id: string, type = "order.paid"): ListedEvent {
  return { id, tenant: "default", type, accepted_at: AT } as ListedEvent;
}

/** `sessions`: what each connection to the tail shows before it breaks; the last stays. `list`: newest first, read anew each time. */
async function arrivalsOf(
  sessions: readonly (readonly TailEntry[])[],
  list: () => readonly ListedEvent[],
  wish: { readonly type?: string; readonly sinceMs?: number; readonly waitsMs?: number } = {},
) {
  const clock = createManualClock(START_MS);
  const stopping = new AbortController();
  const inbox = new Inbox();
  const notices: Notice[] = [];
  const queries: unknown[] = [];
  let session = 0;
  const shown = Promise.withResolvers<undefined>();
  const client = {
    async *tail() {
      const entries = sessions[session++] ?? [];
      yield* entries;
      if (session < sessions.length) throw new NoAnswerError(new Error("broken"), { tries: 1, idempotencyKey: null });
      shown.resolve(undefined);
      await new Promise<void>((resolve) => stopping.signal.addEventListener("abort", () => resolve()));
    },
    events: {
      async list(query: object) {
        queries.push(query);
        return { data: list(), next_cursor: null };
      },
    },
  } as unknown as Client;
  const filling = fillInbox({
    client,
    type: wish.type ?? null,
    sinceMs: wish.sinceMs ?? null,
    inbox,
    surroundings: { ...runtimeSurroundings, clock, random: () => 0 },
    signal: stopping.signal,
    tell: async (notice) => void notices.push(notice),
  });
  await clock.advance(wish.waitsMs ?? 1000);
  await shown.promise;
  stopping.abort();
  await filling;
  const ids: string[] = [];
  for (let next = inbox.give(); next !== null; next = inbox.give()) ids.push(next.id);
  return { ids, notices, queries };
}

test("live events come in order, each once, and those of an endpoint with * alone", async () => {
  const own = accepted("n", "posthaste.endpoint.failing");
  const entries = [WATCHING, accepted("a"), own, accepted("b"), accepted("a")];
  const { ids, notices, queries } = await arrivalsOf([entries], () => []);
  assert.deepEqual([ids, notices, queries], [["a", "b"], [{ event: "listening" }], []]);
});

test("a type or a prefix leaves out the rest, also of the list", async () => {
  const sessions = [[WATCHING, accepted("a"), accepted("b", "invoice.paid")]];
  const list = () => [listed("d", "invoice.sent"), listed("c")];
  const { ids } = await arrivalsOf(sessions, list, { type: "invoice.*", sinceMs: START_MS - 1000 });
  assert.deepEqual(ids, ["d", "b"]);
});

test("after a lost session the list comes first, then what is live, and its number is told", async () => {
  const sessions = [
    [WATCHING, accepted("a")],
    [WATCHING, accepted("d"), accepted("c")],
  ];
  const { ids, notices, queries } = await arrivalsOf(sessions, () => [listed("c"), listed("b"), listed("a")]);
  assert.deepEqual(ids, ["a", "b", "c", "d"]);
  assert.deepEqual(
    notices.map(({ event }) => event),
    ["listening", "session-lost", "session-back"],
  );
  assert.deepEqual(notices[2], { event: "session-back", afterMs: 125, missed: 2, isCut: false });
  assert.deepEqual(queries[0], { since: new Date(START_MS), limit: 100, cursor: undefined });
});

test("what the tail could not show is looked for in the list", async () => {
  const lost: TailEntry = { event: "lost", data: { count: 2 } };
  const { ids, notices } = await arrivalsOf([[WATCHING, lost, accepted("c")]], () => [listed("b"), listed("a")]);
  assert.deepEqual(ids, ["a", "b", "c"]);
  assert.deepEqual(notices[1], { event: "lost", count: 2, found: 2, isCut: false });
});

test("a second look five seconds after a session is back finds what was listed late", async () => {
  let looks = 0;
  const list = (): readonly ListedEvent[] => (++looks === 1 ? [] : [listed("late")]);
  const { ids, notices } = await arrivalsOf([[WATCHING], [WATCHING, accepted("a")]], list, { waitsMs: 6000 });
  assert.deepEqual(ids, ["a", "late"]);
  assert.deepEqual(notices.at(-1), { event: "late", events: 1 });
});

test("of very many the newest are taken, and that is told", async () => {
  const rows = Array.from({ length: CATCH_UP_MAX + 5 }, (_, at) => listed(`e-${at}`));
  const { ids, notices } = await arrivalsOf([[WATCHING]], () => rows, { sinceMs: START_MS - 60_000 });
  assert.deepEqual([ids.length, ids.at(-1)], [CATCH_UP_MAX, "e-0"]);
  assert.deepEqual(notices[1], { event: "earlier", events: CATCH_UP_MAX, isCut: true });
});

test("an inbox that is full leaves out what comes, and says how many", async () => {
  const inbox = new Inbox();
  const arrival = { tenant: "default", type: "a", acceptedAt: AT };
  for (let n = 0; n < 100_003; n++) inbox.take({ ...arrival, id: String(n) });
  assert.deepEqual([inbox.leftOut(), inbox.leftOut()], [3, 0]);
  assert.equal(inbox.take({ ...arrival, id: "0" }), false);
  let [count, last] = [0, ""];
  for (let next = inbox.give(); next !== null; next = inbox.give()) [count, last] = [count + 1, next.id];
  assert.deepEqual([count, last], [100_000, "99999"]);
  const waiting = inbox.wait();
  inbox.take({ ...arrival, id: "new" });
  await waiting;
  inbox.close();
  await inbox.wait();
});
