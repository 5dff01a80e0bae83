/** One request from the seed: a route, a mostly right request for it, and now and then one fault or several. */
import type { Chance } from "../simulation/chance.ts";
import type { RawRequest } from "./raw-client.ts";
import type { RoutePlan, World } from "./route-plans.ts";
import { anyHeaders, anyInstantText, anyValue } from "./hostile-values.ts";
import { drawEvent, ROUTE_PLANS } from "./route-plans.ts";

export interface Drawn {
  readonly request: RawRequest;
  /** `METHOD path` of the plan. */
  readonly route: string;
  /** Whose key it carries; null: none that is good. */
  readonly caller: string | null;
}

/** Keys by the tenant they act for, and those that are good for nothing. */
export interface Keys {
  readonly good: readonly { readonly caller: string; readonly key: string }[];
  readonly bad: readonly string[];
}

const encoder = new TextEncoder();
const routes = Object.entries(ROUTE_PLANS);
/** Added to a route's weight until it gave a good answer: what answers only now and then is tried until it did. */
const UNREACHED_WEIGHT = 4;

export function drawRequest(chance: Chance, world: World, keys: Keys): Drawn {
  const [route, plan] = pickRoute(chance, world.reached);
  const [method = "", template = ""] = route.split(" ");
  const good = chance.isTrue(0.97) ? chance.pick(keys.good) : null;
  const key = good?.key ?? chance.pick(keys.bad);
  const named = plan.name === undefined ? template : template.replace(":name", plan.name(chance));
  const path = plan.thing === undefined ? named : named.replace(":id", world.known.id(chance, plan.thing));
  const target = `${path}${drawQuery(chance, plan, world)}`;
  const headers: [string, string][] = [["Host", "127.0.0.1"], ...keyHeaders(chance, key)];
  const body = plan.members === null ? "" : drawBody(chance, route, plan, world);
  if (body !== "" || plan.members !== null) headers.push(...contentHeaders(chance));
  if (chance.isTrue(0.15)) headers.push(...oddHeaders(chance, world));
  if (route === "POST /v1/events" && chance.isTrue(0.1)) headers.push(...cloudEventHeaders(chance));
  const request = framed(chance, { method, target, headers, body: bytesOfBody(chance, body) });
  return { request: chance.isTrue(0.04) ? broken(chance, request) : request, route, caller: good?.caller ?? null };
}

function pickRoute(chance: Chance, reached: ReadonlySet<string>): [string, RoutePlan] {
  const weightOf = ([route, { weight }]: readonly [string, RoutePlan]): number =>
    reached.has(route) ? weight : weight + UNREACHED_WEIGHT;
  let left = chance.fraction() * routes.reduce((sum, route) => sum + weightOf(route), 0);
  for (const route of routes) {
    left -= weightOf(route);
    if (left < 0) return route;
  }
  return chance.pick(routes);
}

function drawQuery(chance: Chance, plan: RoutePlan, world: World): string {
  const pairs: string[] = [];
  for (const [name, draw] of Object.entries(plan.query)) {
    const share = plan.needed?.includes(name) === true ? 0.97 : name === "tenant" ? 0.06 : 0.15;
    if (!chance.isTrue(share)) continue;
    pairs.push(
      `${name}=${chance.isTrue(0.9) ? encodeURIComponent(draw(chance, world).toWellFormed()) : rawQueryText(chance)}`,
    );
  }
  if (chance.isTrue(0.02)) pairs.push(chance.pick(["x=1", "__proto__=1", "limit", "=", "&&", `q=${"x".repeat(5000)}`]));
  if (chance.isTrue(0.01) && pairs[0] !== undefined) pairs.push(pairs[0]);
  return pairs.length === 0 ? "" : `?${pairs.join("&")}`;
}

function rawQueryText(chance: Chance): string {
  return chance.pick([
    "%",
    "%zz",
    "%00",
    "%ff",
    "%ed%a0%80",
    "+",
    "a%20b",
    "\u00e9",
    "#x",
    anyInstantText(chance).replace(" ", "+"),
  ]);
}

function keyHeaders(chance: Chance, key: string): [string, string][] {
  const kind = chance.fraction();
  if (kind < 0.85) return [["Authorization", `Bearer ${key}`]];
  if (kind < 0.93) return [["x-API-key", key]];
  if (kind < 0.95) return [["authorization", `bEaReR   ${key} `]];
  if (kind < 0.96)
    return [
      ["authorization", `Basic ${btoa(key)}`],
      ["x-api-key", key],
    ];
  if (kind < 0.97)
    return [
      ["authorization", `Bearer ${key}`],
      ["authorization", `Bearer ${key}`],
    ];
  if (kind < 0.98)
    return [
      ["authorization", `Bearer ${key}`],
      ["x-api-key", "\u00e9"],
    ];
  return chance.isTrue(0.5)
    ? []
    : [["authorization", chance.pick(["", "Bearer", "Bearer ", "\u00ff", "x".repeat(8000)])]];
}

function contentHeaders(chance: Chance): [string, string][] {
  if (chance.isTrue(0.9)) return [["content-type", "application/json"]];
  const kinds = [
    "application/json; charset=utf-8",
    "application/json; charset=latin1",
    "APPLICATION/JSON",
    "text/plain",
    "application/cloudevents+json",
    "application/cloudevents-batch+json",
    "multipart/form-data; boundary=x",
    "",
    ";",
    "\u00e9",
  ];
  return chance.isTrue(0.1) ? [] : [["content-type", chance.pick(kinds)]];
}

const oddNames = [
  "accept",
  "x-\u00e9",
  "te",
  "trailer",
  "upgrade",
  "connection",
  "expect",
  "content-encoding",
  "cookie",
];

function oddHeaders(chance: Chance, { known }: World): [string, string][] {
  const keyText = chance.isTrue(0.7)
    ? `k-${chance.whole(1, 400)}`
    : chance.pick(['""', '"a\\"b"', "\u00e9", "x".repeat(256), "a b"]);
  const kind = chance.fraction();
  if (kind < 0.5) return [["Idempotency-Key", chance.isTrue(0.5) ? `"${keyText}"` : keyText]];
  if (kind < 0.55)
    return [
      ["idempotency-key", keyText],
      ["Idempotency-Key", "k-1"],
    ];
  if (kind < 0.65)
    return [["traceparent", chance.pick([`00-${"1".repeat(32)}-${"2".repeat(16)}-01`, "00-0-0-0", "\u00ff"])]];
  if (kind < 0.7)
    return [
      ["x-forwarded-for", "10.0.0.1"],
      ["x-http-method-override", "DELETE"],
      ["if-match", known.cursor(chance)],
    ];
  if (kind < 0.75) return Array.from({ length: 60 }, (_, index): [string, string] => [`x-${index}`, "v".repeat(20)]);
  const values = [
    "",
    "gzip",
    "100-continue",
    "trailers",
    "websocket",
    "h2c",
    "close",
    "keep-alive",
    "x".repeat(5000),
    "\u00fc",
  ];
  // Names that are not ASCII break the grammar of HTTP; the parser answers those.
  return [[chance.pick(oddNames.filter((name) => name !== "x-\u00e9")), chance.pick(values)]];
}

function cloudEventHeaders(chance: Chance): [string, string][] {
  const all: [string, string][] = [
    ["ce-specversion", chance.pick(["1.0", "1.0", "0.3"])],
    ["ce-id", chance.pick(["1", "%41", "%", "%c3%a9", '"q\\"q"', "\u00e9"])],
    ["ce-source", chance.pick(["/shop", "", "x".repeat(1025)])],
    ["ce-type", chance.pick(["order.paid", "a b", ""])],
    ["ce-time", anyInstantText(chance)],
    ["ce-deliverat", anyInstantText(chance)],
    ["ce-tenant", chance.pick(["acme", "beta", "*"])],
    ["ce-__proto__", "x"],
    ["CE-Priority", chance.pick(["HIGH", "high"])],
  ];
  return all.filter((_, index) => index < 4 || chance.isTrue(0.3));
}

function drawBody(chance: Chance, route: string, plan: RoutePlan, world: World): string {
  if (route === "POST /v1/events" && chance.isTrue(0.6)) return drawEvent(chance);
  if (chance.isTrue(0.03)) return anyValue(chance);
  const { members, needed = [] } = plan;
  const named: string[] = [];
  for (const [name, draw] of Object.entries(members ?? {})) {
    const isNeeded = needed.includes(name) ? !chance.isTrue(0.03) : chance.isTrue(name === "tenant" ? 0.06 : 0.25);
    if (isNeeded) named.push(`${JSON.stringify(name)}:${chance.isTrue(0.04) ? anyValue(chance) : draw(chance, world)}`);
  }
  if (chance.isTrue(0.02)) named.push(`${JSON.stringify(chance.pick(["x", "__proto__", "", "y".repeat(70_000)]))}:1`);
  if (chance.isTrue(0.02) && named[0] !== undefined) named.push(named[0]);
  if (named.length === 0 && chance.isTrue(0.3)) return "";
  return `{${named.join(chance.isTrue(0.1) ? " ,\n\t" : ",")}}`;
}

/** As UTF-8, now and then with something in it that no JSON text has. */
function bytesOfBody(chance: Chance, text: string): Uint8Array {
  const bytes = encoder.encode(text);
  if (!chance.isTrue(0.04)) return bytes;
  const at = chance.whole(0, bytes.length);
  const kinds = [
    () => bytes.subarray(0, at),
    () => Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), bytes]),
    () => Buffer.concat([bytes.subarray(0, at), Buffer.from([0xff, 0xc0, 0x80]), bytes.subarray(at)]),
    () => Buffer.concat([bytes.subarray(0, at), Buffer.from([0]), bytes.subarray(at)]),
    () => Buffer.concat([bytes, bytes]),
    () => encoder.encode(anyHeaders(chance)),
    () => Buffer.alloc(chance.pick([65_537, 262_145, 300_000]), 0x20),
    () => Buffer.from(text, "utf16le"),
  ];
  return chance.pick(kinds)();
}

type Unframed = Pick<RawRequest, "method" | "target" | "headers" | "body">;

/** With the body's length, or in chunks of two sizes. */
function framed(chance: Chance, { method, target, headers, body }: Unframed): RawRequest {
  const plain = { method, target, isUnframed: false, isCut: false } as const;
  if (body.length === 0 && !chance.isTrue(0.3)) {
    return { ...plain, headers: method === "GET" ? headers : [...headers, ["content-length", "0"]], body };
  }
  if (chance.isTrue(0.9)) return { ...plain, headers: [...headers, ["content-length", String(body.length)]], body };
  const cut = chance.whole(0, body.length);
  const pieces = [body.subarray(0, cut), body.subarray(cut)].filter(({ length }) => length > 0);
  const chunks = pieces.flatMap((piece) => [
    Buffer.from(`${piece.length.toString(16)}\r\n`),
    piece,
    Buffer.from("\r\n"),
  ]);
  const chunked = Buffer.concat([...chunks, Buffer.from("0\r\n\r\n")]);
  return { ...plain, headers: [...headers, ["transfer-encoding", "chunked"]], body: chunked };
}

const OTHER_METHODS = [
  "PUT",
  "HEAD",
  "OPTIONS",
  "QUERY",
  "TRACE",
  "PROPFIND",
  "get",
  "G\u00c9T",
  "",
  "POST POST",
  "X".repeat(300),
];

/** One fault of the request's form. */
function broken(chance: Chance, request: RawRequest): RawRequest {
  const { headers, target, body } = request;
  const unframed = (change: Partial<RawRequest>): RawRequest => ({ ...request, ...change, isUnframed: true });
  const without = (name: string) => headers.filter(([other]) => other.toLowerCase() !== name);
  const kinds = [
    () => ({ ...request, method: chance.pick(["PUT", "HEAD", "OPTIONS"]) }),
    () => unframed({ method: chance.pick(OTHER_METHODS) }),
    () =>
      unframed({
        target: chance.pick([
          "",
          "*",
          "//",
          `http://127.0.0.1${target}`,
          `${target} x`,
          `/${"p".repeat(20_000)}`,
          "/\u00e9",
        ]),
      }),
    () => ({ ...request, isCut: true, body: body.subarray(0, chance.whole(0, body.length)) }),
    () =>
      unframed({
        headers: [
          ...without("content-length"),
          ["content-length", chance.pick(["-1", "1e3", "0x10", "99999999999999999999", "5, 5"])],
        ],
      }),
    () => unframed({ headers: [...headers, ["content-length", "3"]] }),
    () =>
      unframed({ headers: [...headers, ["content-length", String(body.length)], ["transfer-encoding", "chunked"]] }),
    () =>
      unframed({
        headers: [...headers, ["transfer-encoding", chance.pick(["gzip", "chunked, gzip", "identity", "xchunked"])]],
      }),
    () => unframed({ headers: without("host") }),
    () => unframed({ headers: [...headers, ["Host", "other.test"]] }),
    () => unframed({ headers: [...headers, ["x-\u00e9", "v"]] }),
    () => unframed({ headers: [...headers, ["x-nul", "a\0b"]] }),
    () => unframed({ headers: [...headers, ["x-fold", "a\r\n b"]] }),
    () => unframed({ headers: [...headers, ["x a", "b"], ["", "c"]] }),
    () => unframed({ headers: [...headers, ["x-large", "x".repeat(chance.pick([16_000, 17_000, 40_000]))]] }),
    () =>
      unframed({
        headers: [...headers, ...Array.from({ length: 300 }, (_, index): [string, string] => [`x-${index}`, "1"])],
      }),
    () =>
      unframed({
        headers: [...without("content-length"), ["transfer-encoding", "chunked"]],
        body: Buffer.from("zz\r\nabc\r\n0\r\n\r\n"),
      }),
  ];
  return chance.pick(kinds)();
}
