/**
 * The one process of the embedded set stands still for longer than an attempt may take, as on a machine that is suspended.
 * What was answered meanwhile lies in its sockets, and counts; what was not is made once more, as the same attempt.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ATTEMPT_DEADLINE_MS } from "@posthaste/shared/domain/attempt.ts";
import { systemClock } from "@posthaste/shared/drivers/system.ts";
import { openReceiver } from "../support/receiver.ts";
import { call, openFolder, startServe } from "./posthaste-child.ts";

const ANSWERED = 7;
const UNANSWERED = 7;
const ANSWER_MS = 3000;
const running = new AbortController().signal;

test("after a standstill answers in the sockets win over deadlines, and the rest is attempted once more, unfinished", async () => {
  using folder = openFolder();
  const seen: { readonly id: string; readonly attempt: string }[] = [];
  await using receiver = await openReceiver((request, response) => {
    const id = String(request.headers["webhook-id"]);
    const isAgain = seen.some((before) => before.id === id);
    seen.push({ id, attempt: String(request.headers["posthaste-attempt"]) });
    if (id.startsWith("warm") || isAgain) return void response.writeHead(200).end();
    if (id.startsWith("answered")) systemClock.timer(ANSWER_MS, () => response.writeHead(200).end());
  });
  await using serving = await startServe(folder.path);
  const created = await call(serving.url, "/v1/endpoints", { url: receiver.url, event_types: ["*"] });
  assert.equal(created.status, 201, JSON.stringify(created.body));
  const publish = async (ids: readonly string[]): Promise<void> => {
    const answers = await Promise.all(ids.map((id) => call(serving.url, "/v1/events", { id, type: "a.b", data: {} })));
    for (const { status } of answers) assert.equal(status, 202);
  };
  const until = async (isTrue: () => boolean | Promise<boolean>): Promise<void> => {
    while (!(await isTrue())) await systemClock.sleep(20, running);
  };
  const idsOf = (name: string, count: number): string[] => Array.from({ length: count }, (_, at) => `${name}-${at}`);
  // The first answers raise the cap, so that all that follow are in flight together.
  await publish(idsOf("warm", 40));
  await until(() => seen.length === 40);
  const [answered, unanswered] = [idsOf("answered", ANSWERED), idsOf("unanswered", UNANSWERED)];
  await publish([...answered, ...unanswered]);
  await until(() => seen.length === 40 + ANSWERED + UNANSWERED);
  serving.kill("SIGSTOP");
  await systemClock.sleep(ATTEMPT_DEADLINE_MS + 5000, running);
  serving.kill("SIGCONT");
  const isDelivered = async (id: string): Promise<boolean> => {
    const { body } = await call(serving.url, `/v1/events/${id}`);
    const [delivery] = body["deliveries"] as readonly { readonly state: string; readonly attempt_count: number }[];
    return delivery?.state === "delivered" && delivery.attempt_count === 1;
  };
  for (const id of [...answered, ...unanswered]) await until(() => isDelivered(id));
  const countOf = (id: string): number => seen.filter((each) => each.id === id).length;
  assert.deepEqual(
    answered.filter((id) => countOf(id) !== 1),
    [],
  );
  assert.deepEqual(
    unanswered.filter((id) => countOf(id) !== 2),
    [],
  );
  assert.deepEqual(
    seen.filter(({ attempt }) => attempt !== "1"),
    [],
  );
  assert.doesNotMatch(serving.printed.stdout, /"event":"breaker\.open"/);
  assert.match(serving.printed.stdout, /"event":"process\.stood-still"/);
});
