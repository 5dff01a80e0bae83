/**
 * A `posthaste serve` that may open few descriptors, many healthy origins that it delivers to, and callers that hold
 * connections and do nothing: what arrives, who is blamed, and whether publishes are still answered.
 */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { spawnWatched, TEST_KEY } from "../e2e/posthaste-child.ts";
import type { RawClient } from "./raw-client.ts";
import { rawClient } from "./raw-client.ts";

const entry = join(import.meta.dirname, "../../cli/main/posthaste.ts");
/** `exec`, so that signals reach the program. */
const WITH_LIMIT = 'ulimit -n "$0" && exec "$@"';

/** `posthaste serve` that may open `descriptors` files and sockets. */
export function spawnServeWithin(descriptors: number, folder: string, env: Readonly<Record<string, string>> = {}) {
  const words = ["-c", WITH_LIMIT, String(descriptors), process.execPath, entry, "serve"];
  return spawnWatched("bash", words, {
    PORT: "0",
    POSTHASTE_DATA: folder,
    POSTHASTE_OPERATOR_KEY: TEST_KEY,
    POSTHASTE_ALLOW_CIDRS: "127.0.0.0/8",
    ...env,
  });
}

export interface DescriptorScenario {
  readonly descriptors: number;
  /** Each an address of the loopback, so a socket of its own; a tenant has at most a thousand. */
  readonly origins: number;
  readonly idleConnections: number;
  readonly eventsPerTenant: number;
  readonly folder: string;
}

export interface DescriptorResult {
  /** Deliveries that arrived, each counted once. */
  readonly arrived: number;
  readonly expected: number;
  /** Log lines that blame a receiver. */
  readonly blamed: readonly string[];
  /** Statuses of the publishes, made while the idle connections stood. */
  readonly published: readonly number[];
  readonly exitCode: number | null;
}

const ENDPOINTS_OF_TENANT = 1000;
/** Below one key's share where descriptors are few. */
const AT_ONCE = 8;
/** What idle callers have said: nothing, a part of a head, a whole request, a part of a body. */
const said = (key: string): readonly string[] => [
  "",
  "GET /livez HTTP/1.1\r\nx-note: ",
  "GET /livez HTTP/1.1\r\nhost: x\r\n\r\n",
  `POST /v1/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${key}\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{`,
];

export async function runDescriptorScenario(scenario: DescriptorScenario): Promise<DescriptorResult> {
  const { descriptors, origins, idleConnections, eventsPerTenant, folder } = scenario;
  const tenants = Math.ceil(origins / ENDPOINTS_OF_TENANT);
  const expected = origins * eventsPerTenant;
  const receivers = await openReceivers(expected);
  await using child = spawnServeWithin(descriptors, folder, { LOG_LEVEL: "info" });
  const [, url = ""] = await child.match(/"event":"server\.listening","url":"([^"]+)"/);
  const idle: RawClient[] = [];
  try {
    await makeEndpoints(url, origins, receivers.port);
    const { port } = new URL(url);
    const begun = said(await makeKey(url));
    for (let nth = 0; nth < idleConnections; nth++) {
      const client = rawClient(Number(port));
      client.socket.write(begun[nth % begun.length] ?? "");
      idle.push(client);
    }
    const published: number[] = [];
    for (let event = 0; event < eventsPerTenant; event++) {
      for (let tenant = 0; tenant < tenants; tenant++) {
        published.push(
          (await post(url, "/v1/events", { type: "order.paid", data: event, tenant: `t${tenant}` })).status,
        );
      }
    }
    await receivers.all;
    child.kill("SIGTERM");
    const { code } = await child.exited;
    const blamed = child.printed.stdout
      .split("\n")
      .filter((line) => /"event":"(?:delivery\.(?:retrying|dead)|breaker)/.test(line));
    return { arrived: receivers.arrived(), expected, blamed, published, exitCode: code };
  } finally {
    for (const { socket } of idle) socket.destroy();
    receivers.close();
  }
}

/** One server that every address of the loopback leads to. */
async function openReceivers(expected: number) {
  const seen = new Set<string>();
  const { promise: all, resolve } = Promise.withResolvers<void>();
  const server = createServer((incoming, outgoing) => {
    seen.add(`${incoming.headers.host} ${String(incoming.headers["webhook-id"])}`);
    incoming.resume().on("end", () => outgoing.end());
    if (seen.size === expected) resolve();
  });
  await new Promise<void>((ready) => {
    server.listen({ host: "0.0.0.0", port: 0, backlog: 4096 }, ready);
  });
  return {
    port: (server.address() as AddressInfo).port,
    all,
    arrived: () => seen.size,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

async function makeEndpoints(url: string, origins: number, port: number): Promise<void> {
  for (let begin = 0; begin < origins; begin += AT_ONCE) {
    const some = Array.from({ length: Math.min(AT_ONCE, origins - begin) }, (_, nth) => begin + nth);
    const answers = await Promise.all(
      some.map((nth) =>
        post(url, "/v1/endpoints", {
          url: `http://127.${1 + (nth >> 16)}.${(nth >> 8) & 255}.${nth & 255}:${port}/`,
          tenant: `t${Math.floor(nth / ENDPOINTS_OF_TENANT)}`,
        }),
      ),
    );
    for (const { status } of answers) assert.equal(status, 201);
  }
}

/** Of a tenant that never finishes its bodies. */
async function makeKey(url: string): Promise<string> {
  const answer = await post(url, "/v1/api-keys", { name: "idle", tenant: "idle" });
  return ((await answer.json()) as { key: string }).key;
}

/** Once more after a connection that breaks, as docs/api.md asks of publishers: idle ones make room for new ones. */
async function post(url: string, path: string, body: object): Promise<Response> {
  return postOnce(url, path, body).catch(() => postOnce(url, path, body));
}

function postOnce(url: string, path: string, body: object): Promise<Response> {
  return fetch(`${url}${path}`, {
    method: "POST",
    headers: { authorization: `Bearer ${TEST_KEY}`, "content-type": "application/json" },
    body: JSON.stringify(body),
  });
}
