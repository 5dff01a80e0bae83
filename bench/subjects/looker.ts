/**
 * Somebody at the dashboard of URL, in a process of their own: signs in with KEY as a browser does, then `time REPEATS PATH` opens a page so many
 * times and tells the ms of each, from the request to the last byte, and the page that follows it; `look MS PATH PATH...` opens
 * pages over and over, one in so many ms or one after the other, until `stop`, which tells how many.
 */
import { answerLines, tell } from "./talk.ts";

const { URL: base = "", KEY: key = "" } = process.env;
/** Longer than the gateway's own budget for a request. */
const ANSWER_MS_MAX = 15_000;

const cookie = await signIn();
let stop = new AbortController();
let looking = Promise.resolve(0);
tell({});

await answerLines(async (line) => {
  const [command, ...words] = line.split(" ");
  if (command === "time") {
    const [repeats, path = ""] = words;
    const ms: number[] = [];
    let next: string | null = null;
    for (let nth = 0; nth < Number(repeats); nth += 1) {
      const page = await open(path);
      ms.push(page.ms);
      next = page.next;
    }
    return { ms, next };
  }
  if (command === "look") {
    const [everyMs, ...paths] = words;
    stop = new AbortController();
    looking = look(Number(everyMs), paths, stop.signal);
    return {};
  }
  stop.abort();
  return { opened: await looking };
});

async function signIn(): Promise<string> {
  const answer = await fetch(`${base}/dashboard/sign-in`, {
    method: "POST",
    headers: { "content-type": "application/x-www-form-urlencoded", "sec-fetch-site": "same-origin" },
    body: new URLSearchParams({ key, next: "/dashboard" }).toString(),
    redirect: "manual",
  });
  const [session = ""] = (answer.headers.get("set-cookie") ?? "").split(";");
  if (session === "") throw new Error(`signing in was answered ${answer.status}`);
  return session;
}

async function open(path: string): Promise<{ readonly ms: number; readonly next: string | null }> {
  const startedAt = performance.now();
  const answer = await fetch(`${base}${path}`, { headers: { cookie }, signal: AbortSignal.timeout(ANSWER_MS_MAX) });
  const text = await answer.text();
  const ms = performance.now() - startedAt;
  if (!answer.ok || !answer.url.startsWith(base)) throw new Error(`${path} was answered ${answer.status}`);
  const next = /<a href="([^"]+)">Next page<\/a>/.exec(text)?.[1]?.replaceAll("&amp;", "&") ?? null;
  return { ms, next };
}

async function look(everyMs: number, paths: readonly string[], signal: AbortSignal): Promise<number> {
  let opened = 0;
  const startedAt = performance.now();
  for (; !signal.aborted; opened += 1) {
    await open(paths[opened % paths.length] ?? "");
    await Bun.sleep(Math.max(0, startedAt + (opened + 1) * everyMs - performance.now()));
  }
  return opened;
}
