/**
 * What tenants do that flood, each begun by a line: `publish KEY ENDPOINTS BACKLOG` publishes so many events of each priority in
 * batches, `hold KEY` holds requests whose bodies never end, `read KEY` reads lists over and over. `stop` ends all of them.
 */
import { connect } from "node:net";
import { Priority } from "@posthaste/shared/domain/event.ts";
import { poster } from "../distributed.ts";
import { READERS, UNFINISHED } from "../load.ts";
import { answerLines, tell } from "./talk.ts";

/** Of a batch that is published. */
const BATCH = 500;
/** Before a request that was answered is begun again. */
const REOPEN_MS = 1000;
const PRIORITIES = Priority.options;

const gateway = process.env["URL"] ?? "";
const post = poster(gateway, "");
let ends: (() => Promise<void>)[] = [];

tell({});
await answerLines(async (line) => {
  const [command, key = "", endpoints, backlog] = line.split(" ");
  if (command === "publish") ends.push(publishFlood(key, Number(endpoints), Number(backlog)));
  if (command === "hold") ends.push(holdBodies(key));
  if (command === "read") ends.push(readLists(key));
  if (command === "stop") {
    await Promise.all(ends.map((end) => end()));
    ends = [];
  }
  return {};
});

/** Publishes it all as fast as it is taken; the end is when that is done. */
function publishFlood(key: string, endpoints: number, backlog: number): () => Promise<void> {
  const publish = async (): Promise<void> => {
    for (let sent = 0; sent < backlog; sent += BATCH) {
      for (const priority of PRIORITIES) {
        const events = Array.from({ length: Math.min(BATCH, backlog - sent) }, (_, index) => ({
          type: `to.${(sent + index) % endpoints}`,
          priority,
          data: { note: "x".repeat(900) },
        }));
        await post("/v1/events/batch", { events }, key);
      }
    }
  };
  const published = publish();
  return () => published;
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

/** Reads the largest lists over and over; gives what ends that. */
function readLists(key: string): () => Promise<void> {
  const over = new AbortController();
  const read = async (): Promise<void> => {
    while (!over.signal.aborted) {
      const answer = await fetch(`${gateway}/v1/events?limit=100`, {
        headers: { authorization: `Bearer ${key}` },
        signal: over.signal,
      }).catch(() => null);
      await answer?.text().catch(() => "");
    }
  };
  const readers = Promise.all(Array.from({ length: READERS }, read));
  return async () => {
    over.abort();
    await readers;
  };
}
