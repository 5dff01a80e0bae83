import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { createServer } from "node:net";
import { test } from "node:test";
import { FOUND_MS_MAX } from "@posthaste/shared/drivers/http/look-ups.ts";
import { systemClock } from "@posthaste/shared/drivers/system.ts";
import { Webhook } from "standardwebhooks";
import type { EventView } from "../support/whole-system.ts";
import { OK_ANSWER, found, listen, openReceiver } from "../support/receiver.ts";
import { openWholeSystem } from "../support/whole-system.ts";

interface Arrival {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly atMs: number;
}

/** A receiver that answers the nth request with the nth status, the last one from then on, and keeps what came. */
async function openScripted(statuses: readonly number[], headers: Readonly<Record<string, string>> = {}) {
  const arrivals: Arrival[] = [];
  const receiver = await openReceiver((request, response, body) => {
    arrivals.push({ headers: request.headers as Record<string, string>, body: body.toString(), atMs: Date.now() });
    response.writeHead(statuses[Math.min(arrivals.length, statuses.length) - 1] ?? 200, headers).end("noted");
  });
  return { ...receiver, arrivals };
}

/** A server below HTTP that calls `answer` at the end of each request, counted from 1. */
function openBelowHttp(answer: (socket: Socket, nth: number) => void) {
  const sockets = new Set<Socket>();
  let requests = 0;
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("data", (chunk: Buffer) => {
      if (!chunk.toString().endsWith("}}")) return;
      requests += 1;
      answer(socket, requests);
    });
  });
  return listen(server, () => {
    for (const socket of sockets) socket.destroy();
  });
}

const QUICK = { retry: { delays_s: [0, 0.05, 0.05, 0.05] } };
const isOver = ({ deliveries }: EventView) => deliveries[0]?.state === "delivered" || deliveries[0]?.state === "dead";
const isRetrying = ({ deliveries }: EventView) => deliveries[0]?.state === "retrying";

test("500, 500, 200: three attempts with the same id and bytes, each signed anew", async () => {
  await using system = await openWholeSystem();
  await using receiver = await openScripted([500, 500, 200]);
  const { secret } = await system.endpoint(receiver.url, { retry: { delays_s: [0, 0.6, 0.6] } });
  const id = await system.publish({ type: "order.paid", data: { a: 1 } });
  const event = await system.until(id, isOver);
  const { arrivals } = receiver;
  assert.equal(arrivals.length, 3);
  assert.deepEqual([...new Set(arrivals.map(({ headers }) => headers["webhook-id"]))], [id]);
  assert.equal(new Set(arrivals.map(({ body }) => body)).size, 1);
  assert.deepEqual(
    arrivals.map(({ headers }) => headers["posthaste-attempt"]),
    ["1", "2", "3"],
  );
  for (const { headers, body } of arrivals) new Webhook(secret).verify(body, headers);
  const stamps = arrivals.map(({ headers }) => Number(headers["webhook-timestamp"]));
  for (const [index, { atMs }] of arrivals.entries()) assert.ok(Math.abs(atMs / 1000 - (stamps[index] ?? 0)) < 2);
  assert.ok((stamps[2] ?? 0) > (stamps[0] ?? 0), "the last attempt has a later timestamp than the first");
  assert.equal(event.deliveries[0]?.state, "delivered");
  assert.deepEqual(
    event.deliveries[0]?.attempts.map(({ status }) => status),
    [500, 500, 200],
  );
});

test("die, mend, send again to that endpoint: the dead letter is gone, the other endpoint's stands", async () => {
  await using system = await openWholeSystem();
  await using receiver = await openScripted([500, 200]);
  await using other = await openScripted([500]);
  const { id: endpointId } = await system.endpoint(receiver.url, { retry: { delays_s: [0] } });
  const { id: otherId } = await system.endpoint(other.url, { retry: { delays_s: [0] } });
  const id = await system.publish({ type: "order.paid", data: 1 });
  await system.until(id, ({ state }) => state === "dead");
  const dead = async () => {
    const listed = await system.call<{ data: readonly { endpoint_id: string }[] }>("GET", "/v1/dead-letters");
    return listed.body.data.map(({ endpoint_id: of }) => of).toSorted();
  };
  assert.deepEqual(await dead(), [endpointId, otherId].toSorted());
  assert.equal((await system.call("POST", `/v1/events/${id}/resend`, { endpoint_id: endpointId })).status, 202);
  const event = await system.until(id, ({ state }) => state === "partial");
  const first = event.deliveries.find((each) => each.endpoint_id === endpointId && each.state === "dead");
  assert.match(first?.reason ?? "", /500.*; then delivered by a replay at /);
  assert.deepEqual(await dead(), [otherId], "gone with what the event's page shows");
  const all = await system.call("POST", "/v1/dead-letters/replay", { dry_run: true });
  assert.partialDeepStrictEqual(all.body, { matched: 1, skipped: 0 });
  assert.equal(receiver.arrivals.length, 2);
});

test("410 disables the endpoint, buries the delivery and holds what comes after", async () => {
  await using system = await openWholeSystem();
  await using receiver = await openScripted([410]);
  const { id: endpointId } = await system.endpoint(receiver.url, QUICK);
  const event = await system.until(await system.publish({ type: "a", data: 1 }), isOver);
  assert.equal(event.deliveries[0]?.state, "dead");
  assert.match(event.deliveries[0]?.reason ?? "", /410.*disabled/);
  const endpoint = await system.call<{ status: string }>("GET", `/v1/endpoints/${endpointId}`);
  assert.equal(endpoint.body.status, "disabled");
  const next = await system.publish({ type: "a", data: 2 });
  const held = await system.until(next, ({ deliveries }) => deliveries[0]?.state === "disabled");
  assert.match(held.deliveries[0]?.reason ?? "", /410 Gone/);
  assert.equal(receiver.arrivals.length, 1);
});

test("429 with Retry-After waits as long as it was asked to", async () => {
  await using system = await openWholeSystem();
  await using receiver = await openScripted([429, 200], { "retry-after": "2" });
  await system.endpoint(receiver.url, QUICK);
  const id = await system.publish({ type: "a", data: 1 });
  const waiting = await system.until(id, isRetrying);
  assert.match(waiting.deliveries[0]?.reason ?? "", /answered 429/);
  await system.until(id, isOver);
  const [first, second] = receiver.arrivals;
  assert.ok((second?.atMs ?? 0) - (first?.atMs ?? 0) >= 2000);
});

test("301 is a failure and its target is never called", async () => {
  await using system = await openWholeSystem();
  await using elsewhere = await openScripted([200]);
  await using receiver = await openScripted([301], { location: elsewhere.url });
  await system.endpoint(receiver.url, { retry: { delays_s: [0] } });
  const event = await system.until(await system.publish({ type: "a", data: 1 }), isOver);
  assert.equal(event.deliveries[0]?.state, "dead");
  assert.match(event.deliveries[0]?.reason ?? "", /301.*not followed.*last/);
  assert.equal(elsewhere.arrivals.length, 0);
});

test("a receiver that hangs is left at the deadline", async () => {
  await using system = await openWholeSystem({ limits: { attemptMs: 150 } });
  await using receiver = await openReceiver(() => undefined);
  await system.endpoint(receiver.url, { retry: { delays_s: [0] } });
  const event = await system.until(await system.publish({ type: "a", data: 1 }), isOver);
  assert.equal(event.deliveries[0]?.attempts[0]?.fault, "timeout");
  assert.match(event.deliveries[0]?.reason ?? "", /timeout/);
});

test("an answer of 10 GB is cut after its first 4 KiB and the delivery counts by its status", async () => {
  await using system = await openWholeSystem();
  let sentBytes = 0;
  await using receiver = await openBelowHttp((socket) => {
    socket.write("HTTP/1.1 200 OK\r\ncontent-length: 10000000000\r\n\r\n");
    const chunk = Buffer.alloc(64 * 1024, "x");
    const pour = () => {
      while (!socket.destroyed && sentBytes < 10_000_000_000) {
        sentBytes += chunk.length;
        if (!socket.write(chunk)) break;
      }
    };
    socket.on("drain", pour);
    pour();
  });
  await system.endpoint(receiver.url, QUICK);
  const event = await system.until(await system.publish({ type: "a", data: {} }), isOver);
  assert.equal(event.deliveries[0]?.state, "delivered");
  const { excerpt, is_cut } = event.deliveries[0]?.attempts[0]?.response ?? {};
  assert.deepEqual([excerpt?.length, is_cut], [4096, true]);
  assert.ok(sentBytes < 100_000_000, `the connection was closed after ${sentBytes} bytes`);
});

test("a reset leaves an attempt with its fault and is tried again", async () => {
  await using system = await openWholeSystem();
  await using receiver = await openBelowHttp((socket, nth) => {
    if (nth === 1) socket.resetAndDestroy();
    else socket.end(OK_ANSWER);
  });
  await system.endpoint(receiver.url, QUICK);
  const event = await system.until(await system.publish({ type: "a", data: {} }), isOver);
  assert.equal(event.deliveries[0]?.attempts[0]?.fault, "reset");
  assert.equal(event.deliveries[0]?.attempts[1]?.status, 200);
});

test("when the last attempt fails the event shows a dead letter with the reason", async () => {
  await using system = await openWholeSystem();
  await using receiver = await openScripted([500]);
  const { id: endpointId } = await system.endpoint(receiver.url, QUICK);
  const id = await system.publish({ type: "a.b", data: { keep: 1e3 } });
  const event = await system.until(id, isOver);
  assert.equal(event.deliveries[0]?.attempt_count, 4);
  assert.match(event.deliveries[0]?.reason ?? "", /answered 500; attempt 4 of 4 was the last/);
  const letters = await system.call<{ data: { event_id: string; endpoint_id: string }[] }>("GET", "/v1/dead-letters");
  assert.deepEqual(
    letters.body.data.map((letter) => [letter.event_id, letter.endpoint_id]),
    [[id, endpointId]],
  );
});

test("a dead letter replayed after the receiver recovered is delivered in a new generation", async () => {
  await using system = await openWholeSystem();
  await using receiver = await openScripted([500, 200]);
  await system.endpoint(receiver.url, { retry: { delays_s: [0] } });
  const id = await system.publish({ type: "a", data: 1 });
  await system.until(id, isOver);
  const letters = await system.call<{ data: { id: string }[] }>("GET", "/v1/dead-letters");
  const replayed = await system.call("POST", `/v1/dead-letters/${letters.body.data[0]?.id}/replay`);
  assert.equal(replayed.status, 202);
  await system.until(id, ({ deliveries }) => deliveries.some(({ state }) => state === "delivered"));
  assert.deepEqual(
    receiver.arrivals.map(({ headers }) => headers["webhook-id"]),
    [id, id],
  );
});

test("a paused endpoint gets what it missed once it is resumed", async () => {
  await using system = await openWholeSystem();
  await using receiver = await openScripted([200]);
  const { id: endpointId } = await system.endpoint(receiver.url, { paused: true });
  const id = await system.publish({ type: "a", data: 1 });
  await system.until(id, ({ deliveries }) => deliveries[0]?.state === "paused");
  assert.equal(receiver.arrivals.length, 0);
  await system.call("PATCH", `/v1/endpoints/${endpointId}`, { paused: false });
  await system.until(id, ({ deliveries }) => deliveries[0]?.state === "delivered");
  assert.equal(receiver.arrivals.length, 1);
});

test("LOW events for an endpoint that takes batches arrive in one signed POST", async () => {
  await using system = await openWholeSystem();
  await using receiver = await openScripted([200]);
  const { secret } = await system.endpoint(receiver.url, { batch: { max_events: 3, max_wait_ms: 60_000 } });
  const ids = [];
  for (const n of [1, 2, 3]) ids.push(await system.publish({ type: "a", data: { n }, priority: "LOW" }));
  for (const id of ids) await system.until(id, isOver);
  assert.equal(receiver.arrivals.length, 1);
  const [{ headers, body } = { headers: {}, body: "" }] = receiver.arrivals;
  const batch = new Webhook(secret).verify(body, headers) as {
    type: string;
    data: { id: string; data: { n: number } }[];
  };
  assert.equal(batch.type, "posthaste.batch");
  assert.deepEqual(
    batch.data.map(({ id, data }) => [id, data.n]),
    ids.map((id, index) => [id, index + 1]),
  );
});

test("create an endpoint and publish at once, 1,000 times: each event reaches its endpoint", async () => {
  await using system = await openWholeSystem();
  const seen = new Map<string, string>();
  await using receiver = await openReceiver((request, response) => {
    seen.set(request.url ?? "", String(request.headers["webhook-id"]));
    response.end();
  });
  const pairs: { path: string; id: string }[] = [];
  for (let index = 0; index < 1000; index += 1) {
    const path = `/hook-${index}`;
    await system.endpoint(new URL(path, receiver.url).href, { event_types: [`only.t${index}`] });
    pairs.push({ path, id: await system.publish({ type: `only.t${index}`, data: index, priority: "HIGH" }) });
  }
  for (const { path, id } of pairs) {
    await system.until(id, ({ deliveries }) => deliveries.some(({ state }) => state === "delivered"));
    assert.equal(seen.get(path), id);
  }
  assert.equal(seen.size, 1000);
});

for (const [name, url] of [
  ["private", "http://10.1.2.3/"],
  ["loopback", "http://127.0.0.1/"],
  ["metadata", "http://169.254.169.254/latest"],
  ["mapped", "http://[::ffff:127.0.0.1]/"],
  ["NAT64", "http://[64:ff9b::7f00:1]/"],
  ["decimal", "http://2130706433/"],
  ["octal", "http://0177.0.0.1/"],
  ["hexadecimal", "http://0x7f.1/"],
  ["unique local", "http://[fd00:ec2::254]/"],
] as const) {
  test(`an endpoint at a ${name} address is refused when it is created`, async () => {
    await using system = await openWholeSystem({ allow: "" });
    const refused = await system.call<{ code: string; errors: { pointer: string }[] }>("POST", "/v1/endpoints", {
      url,
    });
    assert.equal(refused.status, 422);
    assert.equal(refused.body.code, "forbidden-address");
    assert.equal(refused.body.errors[0]?.pointer, "#/url");
  });
}

test("a name that turns to a private address after creation is refused at connect", async () => {
  let asked = 0;
  await using receiver = await openScripted([200]);
  const resolve = () => Promise.resolve(found(asked++ === 0 ? ["93.184.215.14"] : ["127.0.0.1"]));
  let laterMs = 0;
  const transportClock = { ...systemClock, monotonic: () => systemClock.monotonic() + laterMs };
  await using system = await openWholeSystem({ allow: "", resolve, transportClock });
  await system.endpoint(`http://rebinding.example:${receiver.port}/`, { retry: { delays_s: [0] } });
  laterMs = FOUND_MS_MAX;
  const event = await system.until(await system.publish({ type: "a", data: 1 }), isOver);
  assert.equal(event.deliveries[0]?.attempts[0]?.fault, "forbidden-address");
  assert.match(event.deliveries[0]?.reason ?? "", /^forbidden-address: the host rebinding\.example is not allowed/);
  assert.doesNotMatch(JSON.stringify(event), /127\.0\.0\.1/);
  assert.equal(receiver.arrivals.length, 0);
});
