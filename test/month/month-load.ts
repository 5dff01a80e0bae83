/**
 * What happens to Posthaste in a month, every three hours: events of every kind, endpoints that fail, hang, go and come back, keys
 * that are replaced or run out, tenants that stay until the next time, dead letters that people replay, delete, or leave.
 */
import { assert } from "@posthaste/shared/lib/assert.ts";
import type { Chance } from "../simulation/chance.ts";

/** As a publisher sees it: the gateway that is up. */
export type Call = (
  method: string,
  path: string,
  body?: object,
  key?: string,
  headers?: Readonly<Record<string, string>>,
) => Promise<Told>;

export interface Told {
  readonly status: number;
  readonly text: string;
}

export interface MonthLoad {
  /** Once, before the first visit. */
  begin(): Promise<void>;
  visit(n: number): Promise<void>;
  /** Answers by status. */
  readonly statuses: ReadonlyMap<number, number>;
}

const TENANTS = ["acme", "beta"] as const;
const QUICK = { delays_s: [0, 5, 60, 600] };
/** Endpoints that each of the two tenants has for good: the path says how its receiver behaves. */
const LASTING: readonly object[] = [
  { url: "https://receiver.test/ok" },
  { url: "https://receiver.test/half", event_types: ["order.*"] },
  { url: "https://receiver.test/fail", event_types: ["order.paid"], retry: QUICK },
  { url: "https://receiver.test/hang", event_types: ["user.created"], retry: QUICK },
  { url: "https://receiver.test/later", event_types: ["order.late"] },
  { url: "https://receiver.test/limited", rate_limit: { limit: 1, window_ms: 1000 } },
  { url: "https://receiver.test/batch", batch: { max_events: 10, max_wait_ms: 100 } },
];
const TYPES = ["order.paid", "order.late", "user.created", "nobody.listens"] as const;

interface Guest {
  readonly tenant: string;
  readonly keyId: string;
  readonly endpointId: string;
}

interface Lasting {
  readonly id: string;
  readonly tenant: string;
}

export function createMonthLoad(call: Call, chance: Chance, now: () => number): MonthLoad {
  const statuses = new Map<number, number>();
  const keys = new Map<string, { readonly id: string; readonly key: string }>();
  const lasting: Lasting[] = [];
  let guest: Guest | null = null;
  let published = 0;

  const ask: Call = async (...asked) => {
    const told = await call(...asked);
    statuses.set(told.status, (statuses.get(told.status) ?? 0) + 1);
    return told;
  };
  const made = async <Made>(path: string, body: object): Promise<Made> => {
    const told = await ask("POST", path, body);
    assert(told.status === 201, `${path} makes one: ${told.status} ${told.text}`);
    return JSON.parse(told.text) as Made;
  };

  /** The old one is revoked, or, every other time, left to run out. */
  async function newKey(tenant: string, n: number): Promise<void> {
    const expires_at = new Date(now() + 13 * 3600_000).toISOString();
    const next = await made<{ id: string; key: string }>("/v1/api-keys", { name: `visit ${n}`, tenant, expires_at });
    const old = keys.get(tenant);
    keys.set(tenant, next);
    if (old !== undefined && n % 4 === 0) await ask("DELETE", `/v1/api-keys/${old.id}`);
  }

  async function publish(tenant: string): Promise<void> {
    const key = keys.get(tenant)?.key;
    for (let left = 4; left > 0; left--) {
      published++;
      const event = {
        type: chance.pick(TYPES),
        data: { n: published },
        priority: chance.pick(["HIGH", "MEDIUM", "LOW"]),
      };
      const kind = published % 4;
      const later = new Date(now() + chance.magnitude(1000, 48 * 3600_000)).toISOString();
      const wish = {
        ...event,
        ...(kind === 1 ? { id: `own-${published}` } : {}),
        ...(kind === 2 ? { deliver_at: later } : {}),
      };
      const headers = kind === 3 ? { "idempotency-key": `key-${published}` } : {};
      await ask("POST", "/v1/events", wish, key, headers);
      if (kind % 2 === 1) await ask("POST", "/v1/events", wish, key, headers);
    }
    const events = TYPES.map((type) => ({ type, data: published, priority: "LOW" }));
    await ask("POST", "/v1/events/batch", { events }, key);
  }

  /** A tenant of three hours: it comes with a key and an endpoint, publishes, and everything of it is taken away. */
  async function changeGuest(n: number): Promise<void> {
    if (guest !== null) {
      await ask("DELETE", `/v1/endpoints/${guest.endpointId}?tenant=${guest.tenant}`);
      if (n % 2 === 0) await ask("DELETE", `/v1/api-keys/${guest.keyId}`);
    }
    const tenant = `guest-${n}`;
    const expires_at = new Date(now() + 2 * 3600_000).toISOString();
    const key = await made<{ id: string; key: string }>("/v1/api-keys", { name: "guest", tenant, expires_at });
    const url = `https://receiver.test/${chance.pick(["ok", "fail", "hang"])}`;
    const endpoint = await made<{ id: string }>("/v1/endpoints", { url, tenant });
    for (const priority of ["HIGH", "MEDIUM", "LOW"]) {
      await ask("POST", "/v1/events", { type: "order.paid", data: n, priority, id: `guest-${priority}` }, key.key);
    }
    guest = { tenant, keyId: key.id, endpointId: endpoint.id };
  }

  async function tendEndpoints(n: number): Promise<void> {
    const one = chance.pick(lasting);
    if (n % 3 === 0) await ask("POST", actionOf(one, "/rotate-secret"), {});
    if (n % 8 === 1) await ask("PATCH", actionOf(one), { paused: true });
    if (n % 8 === 2) for (const each of lasting) await ask("PATCH", actionOf(each), { paused: false });
    if (n % 8 === 4) {
      const gone = await made<{ id: string }>("/v1/endpoints", { url: "https://receiver.test/gone", tenant: "acme" });
      lasting.push({ id: gone.id, tenant: "acme" });
      await publish("acme");
    }
    // Those behind the lasting ones: a few that are gone or disabled are always there.
    const first = LASTING.length * TENANTS.length;
    const [removed] = lasting.length > first + 2 ? lasting.splice(first, 1) : [];
    if (removed !== undefined) await ask("DELETE", actionOf(removed));
  }

  /** People look at most of it, replay some, delete some, and leave the rest. */
  async function tendDeadLetters(n: number): Promise<void> {
    const page = await ask("GET", "/v1/dead-letters?tenant=*&limit=5");
    const { data } = JSON.parse(page.text) as { readonly data: readonly { readonly id: string }[] };
    if (data[0] !== undefined) await ask("DELETE", `/v1/dead-letters/${data[0].id}`);
    if (data[1] !== undefined) await ask("POST", `/v1/dead-letters/${data[1].id}/replay`, {});
    if (n % 16 === 3) await ask("POST", "/v1/dead-letters/replay", { tenant: "beta", state: "dead" });
    for (const path of ["events", "endpoints", "api-keys"]) await ask("GET", `/v1/${path}?tenant=*&limit=50`);
    await ask("GET", `/v1/events?tenant=nobody-${n}`);
  }

  return {
    statuses,
    async begin() {
      for (const tenant of TENANTS) {
        await newKey(tenant, 1);
        for (const wish of LASTING)
          lasting.push({ id: (await made<{ id: string }>("/v1/endpoints", { ...wish, tenant })).id, tenant });
      }
    },
    async visit(n) {
      for (const tenant of TENANTS) {
        if (n % 2 === 0) await newKey(tenant, n);
        await publish(tenant);
      }
      await changeGuest(n);
      await tendEndpoints(n);
      if (n % 4 === 3) await tendDeadLetters(n);
    },
  };
}

function actionOf({ id, tenant }: Lasting, action = ""): string {
  return `/v1/endpoints/${id}${action}?tenant=${tenant}`;
}
