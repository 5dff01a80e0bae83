/**
 * Publishes at a constant rate, whatever is answered when: `offer COUNT RATE PRIORITY` to the gateway, `bare COUNT RATE` straight to
 * the sink. Each body has `sent_at`, when it was to be sent: the sink's latencies count from there, also where the publisher was late.
 */
import { EVENT_DATA } from "../load.ts";
import { answerLines, tell } from "./talk.ts";
import { wallMs } from "../wall-clock.ts";

const { URL: gateway = "", SINK: sink = "", KEY: key = "" } = process.env;
const authorization = `Bearer ${key}`;
const headers = { authorization, "content-type": "application/json" };

tell({});
await answerLines(async (line) => {
  const [command, count, rate, priority] = line.split(" ");
  const url = command === "bare" ? sink : `${gateway}/v1/events`;
  const gapMs = 1000 / Number(rate);
  const startMs = wallMs() + gapMs;
  const answers: Promise<void>[] = [];
  for (let index = 0; index < Number(count); index += 1) {
    const sentAtMs = startMs + index * gapMs;
    const waitMs = sentAtMs - wallMs();
    if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
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
