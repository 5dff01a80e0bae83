/**
 * Receivers that are not well, by the first part of the path: /down fails with 503 until `heal` and again after `ail`, /coin fails each second
 * time by chance, /slow/1000 answers after 1,000 ms. Tells for each of them how many events it took, each counted once by its
 * `webhook-id`, when the last of those came to its end, and what the attempts were.
 */
import { systemEntropy } from "@posthaste/shared/drivers/system.ts";
import { serveBare } from "./bare-server.ts";
import { answerLines, tell } from "./talk.ts";

interface Seen {
  readonly taken: Set<string>;
  /** Attempts by event, refused ones too. */
  readonly attempts: Map<string, number>;
  /** When the newest of `taken` was answered. */
  lastAtMs: number;
  atOnce: number;
  atOnceMost: number;
}

let isDown = false;
let seen = new Map<string, Seen>();

const port = serveBare(async (request) => {
  const [, name = "", argument] = new URL(request.url).pathname.split("/");
  const of = seenOf(name);
  const id = request.headers.get("webhook-id") ?? "";
  of.attempts.set(id, (of.attempts.get(id) ?? 0) + 1);
  of.atOnce += 1;
  of.atOnceMost = Math.max(of.atOnceMost, of.atOnce);
  await request.arrayBuffer();
  if (name === "slow") await Bun.sleep(Number(argument));
  of.atOnce -= 1;
  if ((name.startsWith("down") && isDown) || (name === "coin" && (systemEntropy.bytes(1)[0] ?? 0) < 128))
    return new Response(null, { status: 503 });
  if (!of.taken.has(id)) of.lastAtMs = performance.timeOrigin + performance.now();
  of.taken.add(id);
  return new Response(null, { status: 204 });
});
tell({ port });

await answerLines(async (line) => {
  if (line === "heal") isDown = false;
  if (line === "ail") isDown = true;
  if (line === "reset") seen = new Map();
  const told = Array.from(seen, ([name, { taken, attempts, ...rest }]) => {
    const counts = [...attempts.values()];
    const sum = counts.reduce((total, count) => total + count, 0);
    return [name, { taken: taken.size, attempts: sum, attemptsMost: Math.max(0, ...counts), ...rest }] as const;
  });
  return { atMs: performance.timeOrigin + performance.now(), seen: Object.fromEntries(told) };
});

function seenOf(name: string): Seen {
  let found = seen.get(name);
  if (found === undefined) {
    found = { taken: new Set(), attempts: new Map(), lastAtMs: 0, atOnce: 0, atOnceMost: 0 };
    seen.set(name, found);
  }
  return found;
}
