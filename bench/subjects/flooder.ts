/**
 * What tenants do that flood, each begun by a line: `publish KEY ENDPOINTS BACKLOG` publishes so many events of each priority in
 * batches, `hold KEY` holds requests whose bodies never end, `read KEY` reads lists and `change KEY` changes endpoints, both over and
 * over. `stop` ends all of them.
 */
import { connect } from "node:net";
import { Priority } from "@posthaste/shared/domain/event.ts";
import { CHANGERS, READERS, UNFINISHED } from "../load.ts";
import { answerLines, tell } from "./talk.ts";

/** Of a batch that is published. */
const BATCH = 500;
/** Before a request that was answered is begun again. */
const REOPEN_MS = 1000;
const PRIORITIES = Priority.options;

const gateway = process.env["URL"] ?? "";
let ends: (() => Promise<void>)[] = [];

tell({});
await answerLines(async (line) => {
  const [command, key = "", endpoints, backlog] = line.split(" ");
  if (command === "publish") ends.push(publishFlood(key, Number(endpoints), Number(backlog)));
  if (command === "hold") ends.push(holdBodies(key));
  if (command === "read") ends.push(atOnce(READERS, (signal) => readLists(key, signal)));
  if (command === "change") ends.push(atOnce(CHANGERS, (signal) => changeEndpoints(key, signal)));
  if (command === "stop") {
    await Promise.all(ends.map((end) => end()));
    ends = [];
  }
  return {};
});

/** Publishes it all as fast as it may, until it is told to end. */
function publishFlood(key: string, endpoints: number, backlog: number): () => Promise<void> {
  const over = new AbortController();
  const publish = async (): Promise<void> => {
    for (let sent = 0; sent < backlog && !over.signal.aborted; sent += BATCH) {
      for (const priority of PRIORITIES) {
        const events = Array.from({ length: Math.min(BATCH, backlog - sent) }, (_, index) => ({
          type: `to.${(sent + index) % endpoints}`,
          priority,
          data: { note: "x".repeat(900) },
        }));
        await postWithinLimit(events, key);
      }
    }
  };
  const published = publish();
  return () => {
    over.abort();
    return published;
  };
}

/** As often as the key's limit lets it. */
async function postWithinLimit(events: readonly object[], key: string): Promise<void> {
  const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
  const body = JSON.stringify({ events });
  for (;;) {
    const answer = await fetch(`${gateway}/v1/events/batch`, { method: "POST", headers, body });
    const text = await answer.text();
    if (answer.ok) return;
    if (answer.status !== 429) throw new Error(`a batch was answered ${answer.status}: ${text}`);
    await Bun.sleep(1000 * Number(answer.headers.get("retry-after") ?? 1));
  }
}

/** Requests that send their heads and one byte; gives what ends them. One that is answered is begun again. */
function holdBodies(key: string): () => Promise<void> {
  const url = new URL(gateway);
  const head =
    `POST /v1/events HTTP/1.1\r\nhost: ${url.host}\r\nauthorization: Bearer ${key}\r\n` +
    "content-type: application/json\r\ncontent-length: 200000\r\n\r\n{";
  let isOver = false;
  const sockets = new Set<ReturnType<typeof connect>>();
  const open = (): void => {
    if (isOver) return;
    const socket = connect(Number(url.port), url.hostname, () => socket.write(head));
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("data", () => socket.destroy());
    socket.on("close", () => {
      sockets.delete(socket);
      setTimeout(open, REOPEN_MS);
    });
  };
  for (let index = 0; index < UNFINISHED; index += 1) open();
  return () => {
    isOver = true;
    for (const socket of sockets) socket.destroy();
    return Promise.resolve();
  };
}

/** Gives what ends them. */
function atOnce(count: number, work: (signal: AbortSignal) => Promise<void>): () => Promise<void> {
  const over = new AbortController();
  const workers = Promise.all(Array.from({ length: count }, () => work(over.signal)));
  return async () => {
    over.abort();
    await workers;
  };
}

/** Reads the largest lists over and over. */
async function readLists(key: string, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) await ask("GET", "/v1/events?limit=100", key, signal);
}

/** Changes the first endpoints of its tenant over and over. */
async function changeEndpoints(key: string, signal: AbortSignal): Promise<void> {
  const text = await ask("GET", "/v1/endpoints?limit=100", key, signal);
  const { data } = JSON.parse(text) as { readonly data: readonly { readonly id: string }[] };
  for (let count = 0; !signal.aborted; count += 1) {
    const { id } = data[count % data.length] ?? { id: "" };
    await ask("PATCH", `/v1/endpoints/${id}`, key, signal, { description: `change ${count}` });
  }
}

/** The answer's text, whatever its status; nothing when it broke off. */
async function ask(method: string, path: string, key: string, signal: AbortSignal, body?: object): Promise<string> {
  const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
  const text = body === undefined ? null : JSON.stringify(body);
  const answer = await fetch(gateway + path, { method, headers, body: text, signal }).catch(() => null);
  return (await answer?.text().catch(() => "")) ?? "";
}
