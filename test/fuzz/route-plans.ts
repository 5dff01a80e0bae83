/** For each route what a right request looks like, so that a run reaches deep states; the faults are put in elsewhere. */
import type { Chance } from "../simulation/chance.ts";
import type { Draw } from "./hostile-values.ts";
import type { KnownThings, Thing } from "./known-things.ts";
import { anyHeaders, anyInstant, anyInstantText, anyNumber, anyString, anyUrl, anyValue } from "./hostile-values.ts";

export interface World {
  readonly known: KnownThings;
  /** Routes, `METHOD path`, that gave a good answer so far. */
  readonly reached: ReadonlySet<string>;
  /** Where a receiver listens: `http://127.0.0.1:1234`. */
  readonly receiver: string;
}

export interface RoutePlan {
  /** How often it is asked for beside the others. */
  readonly weight: number;
  /** What `:id` of the path names. */
  readonly thing?: Thing;
  /** What `:name` of the path is, as it stands there. */
  readonly name?: (chance: Chance) => string;
  readonly query: Readonly<Record<string, (chance: Chance, world: World) => string>>;
  /** JSON text of each member; null: the route reads no body. */
  readonly members: Readonly<Record<string, (chance: Chance, world: World) => string>> | null;
  /** Members and query parameters that a right request must have. */
  readonly needed?: readonly string[];
}

const word =
  (...words: readonly string[]) =>
  (chance: Chance) =>
    chance.pick(words);
const quoted =
  (...words: readonly string[]) =>
  (chance: Chance) =>
    JSON.stringify(chance.pick(words));
const rarely = (draw: Draw, instead: Draw) => (chance: Chance) => (chance.isTrue(0.1) ? instead : draw)(chance);
const tenantText = word("acme", "acme", "beta", "default", "operator", "*", "a b", "");
const types = ["order.paid", "order.late", "a", "user.created", "a.b.c.d"] as const;
const type = rarely(quoted(...types), anyString);
const tenant = rarely(quoted("acme", "beta", "default"), anyString);
const flag = rarely(quotedFlag, anyValue);
const ids = (thing: Thing) => (chance: Chance, world: World) => JSON.stringify(world.known.id(chance, thing));
const rate = rarely((chance) => `{"limit":${anyWhole(chance)},"window_ms":${anyWhole(chance)}}`, anyValue);
const cursor = (chance: Chance, { known }: World): string => known.cursor(chance);
const cursorMember = (chance: Chance, world: World): string => JSON.stringify(world.known.cursor(chance));

function quotedFlag(chance: Chance): string {
  return chance.isTrue(0.5) ? "true" : "false";
}

function anyWhole(chance: Chance): string {
  return chance.isTrue(0.9) ? String(chance.magnitude(1, 100_000)) : anyNumber(chance);
}

const retry = rarely(
  word(
    '{"delays_s":[0]}',
    '{"delays_s":[0,0]}',
    '{"delays_s":[0,0.001,1e-9]}',
    '{"base_s":1,"factor":1,"max_s":1,"attempts":2}',
    '{"base_s":1,"factor":10,"max_s":604800,"attempts":50}',
    '{"delays_s":[0,604800,604800.0001]}',
    '{"delays_s":[0],"base_s":1}',
    "null",
  ),
  anyValue,
);
const batch = rarely(word('{"max_events":10,"max_wait_ms":5}', '{"max_events":0,"max_wait_ms":0}', "null"), anyValue);
const eventTypes = rarely(word('["*"]', '["order.*"]', '["order.paid","a"]', '["*.*"]', "[]"), anyValue);
const secret = rarely(word(`"whsec_${"A".repeat(32)}"`, `"whsec_${"A".repeat(31)}"`, '"***"', '"whsec_"'), anyString);

/** One of them is of events that are published, so that these meet its schema. */
const listedName = word("a.b.c.d", "a.b.c.d", "listed.one", "listed.two", "posthaste.x", "a%20b", "..%2f", "%00");
const schema = rarely(
  word(
    "{}",
    '{"type":["object","string","null"],"maxProperties":3}',
    '{"$ref":"#/$defs/a","$defs":{"a":{"items":{"$ref":"#"},"pattern":"^(?:a|b)*$"}}}',
    '{"uniqueItems":true,"contains":{"minimum":0},"unevaluatedProperties":false}',
    '{"$ref":"#"}',
    '{"pattern":"("}',
  ),
  anyValue,
);

/** The `data` of an event: anything that is JSON. */
const data: Draw = (chance) =>
  chance.isTrue(0.02) ? `"${"d".repeat(chance.magnitude(1000, 270_000))}"` : anyValue(chance);

const eventMembers = {
  type,
  data,
  priority: rarely(quoted("HIGH", "MEDIUM", "LOW"), anyValue),
  id: (chance: Chance) => (chance.isTrue(0.8) ? `"own-${chance.whole(1, 3000)}"` : anyString(chance)),
  tenant,
  timestamp: anyInstant,
  deliver_at: anyInstant,
};

/** One event as JSON text: mostly right. */
export function drawEvent(chance: Chance): string {
  const named: string[] = [`"type":${type(chance)}`, `"data":${data(chance)}`];
  for (const name of ["priority", "id", "timestamp", "deliver_at"] as const) {
    if (chance.isTrue(0.25)) named.push(`${JSON.stringify(name)}:${eventMembers[name](chance)}`);
  }
  return `{${named.join(",")}}`;
}

function drawEvents(chance: Chance): string {
  if (chance.isTrue(0.05)) return anyValue(chance);
  const count = chance.isTrue(0.02) ? chance.pick([0, 999, 1000, 1001]) : chance.magnitude(1, 30);
  const events = count > 100 ? Array<string>(count).fill('{"type":"a","data":1}') : undefined;
  return `[${(events ?? Array.from({ length: count }, () => drawEvent(chance))).join(",")}]`;
}

const endpointMembers = {
  url: (chance: Chance, { receiver }: World) => anyUrl(chance, receiver),
  event_types: eventTypes,
  description: anyString,
  headers: anyHeaders,
  retry,
  rate_limit: rate,
  batch,
  paused: flag,
};
const list = {
  limit: word("1", "2", "100", "0", "101", "-1", "1.5", "1e1", "\u0661", " 1"),
  cursor,
  tenant: tenantText,
};
const range = { since: anyInstantText, until: anyInstantText };
const letterFilter = {
  endpoint_id: (chance: Chance, { known }: World) => known.id(chance, "ep"),
  event_id: (chance: Chance, { known }: World) => known.id(chance, "evt"),
  type: word(...types),
  state: word("dead", "paused", "disabled", "backlog", "expired", "delivered", "x"),
  ...range,
};
const replayMembers = {
  since: anyInstant,
  until: anyInstant,
  // A replay of all that an endpoint got plans up to 10,000 attempts; a few of them are enough.
  dry_run: rarely(word("true"), flag),
  rate_per_s: (chance: Chance) => anyWhole(chance),
  cursor: cursorMember,
};
const state = rarely(quoted("dead", "paused", "disabled", "backlog", "expired", "delivered"), anyString);
const byId = { query: { tenant: tenantText } };

export const ROUTE_PLANS: Readonly<Record<string, RoutePlan>> = {
  "POST /v1/events": { weight: 20, query: { tenant: tenantText }, members: eventMembers, needed: ["type", "data"] },
  "POST /v1/events/batch": {
    weight: 4,
    query: { tenant: tenantText },
    members: { events: drawEvents },
    needed: ["events"],
  },
  "GET /v1/events": {
    weight: 4,
    query: {
      ...list,
      ...range,
      type: word(...types, "*", ""),
      state: word("pending", "retrying", "delivered", "dead", "cancelled", "filtered", "x", ""),
      endpoint_id: letterFilter.endpoint_id,
    },
    members: null,
  },
  "POST /v1/events/:id/resend": { ...byId, weight: 2, thing: "evt", members: { endpoint_id: ids("ep") } },
  "POST /v1/events/:id/cancel": { ...byId, weight: 2, thing: "later", members: {} },
  "GET /v1/events/:id": {
    weight: 5,
    thing: "evt",
    query: { tenant: tenantText, include: word("data", "filtered", "data,filtered", "all", "") },
    members: null,
  },
  "GET /v1/events/:id/why": {
    weight: 3,
    thing: "evt",
    query: { tenant: tenantText, endpoint: letterFilter.endpoint_id },
    members: null,
    needed: ["endpoint"],
  },
  "POST /v1/endpoints": {
    weight: 5,
    query: { tenant: tenantText },
    members: { ...endpointMembers, tenant, secret },
    needed: ["url"],
  },
  "GET /v1/endpoints": {
    weight: 3,
    query: { ...list, status: word("active", "paused", "disabled", "x", "") },
    members: null,
  },
  "GET /v1/endpoints/:id": { ...byId, weight: 3, thing: "ep", members: null },
  "PATCH /v1/endpoints/:id": {
    ...byId,
    weight: 6,
    thing: "ep",
    members: { ...endpointMembers, disabled: rarely(word("false"), anyValue), headers: (c) => headersOrNull(c) },
  },
  "DELETE /v1/endpoints/:id": { ...byId, weight: 2, thing: "ep", members: null },
  "POST /v1/endpoints/:id/rotate-secret": { ...byId, weight: 3, thing: "ep", members: { secret } },
  "POST /v1/endpoints/:id/test": { ...byId, weight: 3, thing: "ep", members: {} },
  "POST /v1/endpoints/:id/replay": {
    ...byId,
    weight: 3,
    thing: "ep",
    members: { ...replayMembers, status: state },
    needed: ["dry_run"],
  },
  "GET /v1/endpoints/:id/attempts": {
    weight: 3,
    thing: "ep",
    query: {
      ...list,
      ...range,
      event_id: letterFilter.event_id,
      outcome: word("delivered", "retry", "dead", "failed", "x", ""),
      result: word("2xx", "5xx", "timeout", "x", ""),
    },
    members: null,
  },
  "GET /v1/endpoints/:id/stats": { ...byId, weight: 2, thing: "ep", members: null },
  "GET /v1/event-types": { weight: 2, query: { limit: list.limit, cursor }, members: null },
  "GET /v1/event-types/:name": { weight: 2, name: listedName, query: {}, members: null },
  // Often enough that a type stands when it is to be deleted.
  "PUT /v1/event-types/:name": {
    weight: 10,
    name: listedName,
    query: {},
    members: { description: anyString, schema, example: anyValue, deprecated: flag },
  },
  "DELETE /v1/event-types/:name": { weight: 1, name: listedName, query: {}, members: null },
  "GET /v1/dead-letters": { weight: 4, query: { ...list, ...letterFilter }, members: null },
  "POST /v1/dead-letters/replay": {
    weight: 2,
    query: { tenant: tenantText },
    members: { ...replayMembers, tenant, endpoint_id: ids("ep"), event_id: ids("evt"), type, state },
    needed: ["dry_run"],
  },
  "GET /v1/dead-letters/:id": { ...byId, weight: 3, thing: "dlv", members: null },
  "DELETE /v1/dead-letters/:id": { ...byId, weight: 2, thing: "dlv", members: null },
  "POST /v1/dead-letters/:id/replay": { ...byId, weight: 2, thing: "dlv", members: {} },
  "GET /v1/quarantine": { weight: 1, query: list, members: null },
  "GET /v1/quarantine/:id": { weight: 1, thing: "dlv", query: {}, members: null },
  "POST /v1/quarantine/:id/put-back": { weight: 1, thing: "dlv", query: {}, members: {} },
  "DELETE /v1/quarantine/:id": { weight: 1, thing: "dlv", query: {}, members: null },
  "POST /v1/api-keys": {
    weight: 1,
    query: { tenant: tenantText },
    members: {
      name: anyString,
      tenant,
      scopes: rarely(word('["publish"]', '["read","manage"]', "[]", '["read","read"]'), anyValue),
      rate_limit: rate,
      expires_at: anyInstant,
    },
    needed: ["name"],
  },
  "POST /v1/portal-links": {
    weight: 1,
    query: { tenant: tenantText },
    members: {
      tenant,
      expires_in_s: rarely(anyWhole, anyValue),
      session_s: rarely(anyWhole, anyValue),
      read_only: flag,
    },
  },
  "GET /v1/api-keys": { weight: 2, query: list, members: null },
  "DELETE /v1/api-keys/:id": { ...byId, weight: 1, thing: "key", members: null },
  "GET /v1/tail": {
    weight: 1,
    query: {
      tenant: tenantText,
      endpoint_id: letterFilter.endpoint_id,
      type: word("order.*", "order.paid", "*", "*.*", ""),
      lane: word("high", "low", "HIGH", ""),
      outcome: word("delivered", "failed", "x", ""),
    },
    members: null,
  },
  "GET /livez": { weight: 0.3, query: {}, members: null },
  "GET /healthz": { weight: 0.1, query: {}, members: null },
  "GET /readyz": { weight: 0.3, query: {}, members: null },
  "GET /metrics": { weight: 0.1, query: {}, members: null },
  "GET /openapi.json": { weight: 0.1, query: {}, members: null },
  "GET /docs": { weight: 0.1, query: {}, members: null },
};

function headersOrNull(chance: Chance): string {
  return chance.isTrue(0.3)
    ? chance.pick(["null", '{"x-a":null}', '{"x-a":"***"}', '{"X-A":"1","x-a":"2"}'])
    : anyHeaders(chance);
}
