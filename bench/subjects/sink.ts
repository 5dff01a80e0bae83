/**
 * The receiver of delivery benches: reads each body and answers 200 at once. Ten paths /0 to /9; those named by `hang`
 * never answer. A body to /group counts as many as it has members. What ends with /wait/50 is answered after 50 ms, and counts then.
 * Keeps, per path, the time from acceptance (in the body) to arrival.
 */
import { serveBare } from "./bare-server.ts";
import { answerLines, tell } from "./talk.ts";

let count = 0;
let hanging = new Set<string>();
let latencies = new Map<string, number[]>();
let wanted = Infinity;
let reached: (() => void) | null = null;

const port = serveBare(async (request) => {
  const path = request.url.slice(request.url.lastIndexOf("/"));
  if (hanging.has(path)) return new Promise<Response>(() => undefined);
  const text = await request.text();
  const waitMs = Number(/\/wait\/(\d+)$/.exec(request.url)?.[1] ?? 0);
  if (waitMs > 0) await Bun.sleep(waitMs);
  const atMs = performance.timeOrigin + performance.now();
  const sent = /"sent_at":([\d.]+)/.exec(text)?.[1];
  if (sent !== undefined) {
    const seen = latencies.get(path);
    if (seen === undefined) latencies.set(path, [atMs - Number(sent)]);
    else seen.push(atMs - Number(sent));
  }
  count += path === "/group" ? text.split('{"id":"evt_').length - 1 : 1;
  if (count >= wanted) reached?.();
  return new Response("ok");
});
tell({ port });

await answerLines(async (line) => {
  const [command, argument] = line.split(" ");
  if (command === "reset") {
    count = 0;
    latencies = new Map();
    hanging = new Set(argument === undefined ? [] : [argument]);
    wanted = Infinity;
    return {};
  }
  if (command === "wait") {
    wanted = Number(argument);
    if (count < wanted) await new Promise<void>((resolve) => (reached = resolve));
    return { count, atMs: performance.timeOrigin + performance.now() };
  }
  return { count, latencies: Object.fromEntries(latencies) };
});
