/**
 * Publishes at a constant rate, whatever is answered when: `offer COUNT RATE PRIORITY` to the gateway, `bare COUNT RATE` straight to
 * the sink. Each body has `sent_at`, when it was to be sent: the sink's latencies count from there, also where the publisher was late.
 */
import { EVENT_DATA } from "../load.ts";
import { answerLines, tell } from "./talk.ts";

const { URL: gateway = "", SINK: sink = "", KEY: key = "" } = process.env;
const authorization = `Bearer ${key}`;
const headers = { authorization, "content-type": "application/json" };

tell({});
await answerLines(async (line) => {
  const [command, count, rate, priority] = line.split(" ");
  const url = command === "bare" ? sink : `${gateway}/v1/events`;
  const gapMs = 1000 / Number(rate);
  const startMs = performance.timeOrigin + performance.now() + gapMs;
  const answers: Promise<void>[] = [];
  for (let index = 0; index < Number(count); index += 1) {
    const sentAtMs = startMs + index * gapMs;
    await untilMs(sentAtMs);
    const data = { sent_at: sentAtMs, ...EVENT_DATA };
    answers.push(post(url, JSON.stringify(command === "bare" ? data : { type: "probe", priority, data })));
  }
  await Promise.all(answers);
  return {};
});

async function post(url: string, body: string): Promise<void> {
  const answer = await fetch(url, { method: "POST", headers, body });
  await answer.text();
  if (!answer.ok) throw new Error(`${url} answered ${answer.status}`);
}

/** A timer is whole ms and may come before its time, or that much late; the last millisecond is looked at turn by turn. */
async function untilMs(atMs: number): Promise<void> {
  const waitMs = Math.floor(atMs - (performance.timeOrigin + performance.now())) - 1;
  if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
  while (performance.timeOrigin + performance.now() < atMs) await new Promise((resolve) => setImmediate(resolve));
}
