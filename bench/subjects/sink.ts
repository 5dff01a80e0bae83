/**
 * The receiver of delivery benches: reads each body and answers 200 at once. Ten paths /0 to /9; those named by `hang`
 * never answer. A body to /group counts as many as it has members. What ends with /wait/50 is answered after 50 ms, and counts then.
 * Keeps, per path, the time from acceptance (in the body) to arrival. `wait COUNT` ends the program, and says how many arrived, when
 * none does for `SILENCE_MS_MAX` or all take `WAIT_MS_MAX`.
 */
import { serveBare } from "./bare-server.ts";
import { answerLines, tell } from "./talk.ts";

/** Longer than any pause of a system that delivers. */
const SILENCE_MS_MAX = 60_000;
/** Longer than any bench takes for what it has published. */
const WAIT_MS_MAX = 10 * 60_000;

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
    await untilReached();
    return { count, atMs: performance.timeOrigin + performance.now() };
  }
  return { count, latencies: Object.fromEntries(latencies) };
});

async function untilReached(): Promise<void> {
  if (count >= wanted) return;
  const startedAt = performance.now();
  let seen = count;
  await new Promise<void>((resolve, reject) => {
    const watch = setInterval(() => {
      const waitedMs = performance.now() - startedAt;
      if (count === seen || waitedMs > WAIT_MS_MAX)
        reject(new Error(`${count} of ${wanted} arrived in ${Math.round(waitedMs / 1000)} s, ${count - seen} lately`));
      seen = count;
    }, SILENCE_MS_MAX);
    reached = () => {
      clearInterval(watch);
      resolve();
    };
  });
}
