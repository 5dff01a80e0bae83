/** One language's publisher and receiver against a real Posthaste, and what every example must show. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Webhook } from "standardwebhooks";

import type { Child } from "../e2e/posthaste-child.ts";
import { call, openFolder, spawnWatched, startServe, TEST_KEY } from "../e2e/posthaste-child.ts";

export interface ExampleLanguage {
  readonly name: string;
  /** What runs a program, and where the two programs are; throws with the remedy when it is not there. */
  readonly runner: () => string;
  readonly publisher: string;
  readonly receiver: string;
}

const SECRET = `whsec_${Buffer.alloc(32, 7).toString("base64")}`;
const BODY = '{"type":"invoice.paid","timestamp":"2026-01-31T00:00:00Z","data":{"amount":12.5}}';

interface Receiving extends Child {
  readonly url: string;
}

async function startReceiver({ runner, receiver }: ExampleLanguage): Promise<Receiving> {
  const child = spawnWatched(runner(), [receiver], { PORT: "0", WEBHOOK_SECRET: SECRET });
  const [, url = ""] = await child.match(/receiving at (http:\S+)/);
  return { ...child, url };
}

interface Signed {
  readonly id: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** Signed by the reference library, so that the example is held to the standard and not to our own code. */
function sign(id: string, atMs: number, secret = SECRET): Signed {
  const signature = new Webhook(secret).sign(id, new Date(atMs), BODY);
  const timestamp = String(Math.floor(atMs / 1000));
  return { id, headers: { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": signature } };
}

async function send(url: string, headers: Signed["headers"], body = BODY): Promise<number> {
  const answer = await fetch(url, { method: "POST", headers, body });
  await answer.arrayBuffer();
  return answer.status;
}

export function exampleTests(language: ExampleLanguage): void {
  const { name, runner, publisher } = language;

  test(`${name}: what the publisher publishes reaches the receiver, verified`, async () => {
    using folder = openFolder();
    await using posthaste = await startServe(folder.path);
    await using receiver = await startReceiver(language);
    const endpoint = { url: receiver.url, secret: SECRET, event_types: ["invoice.*"] };
    const created = await call(posthaste.url, "/v1/endpoints", endpoint);
    assert.equal(created.status, 201, JSON.stringify(created.body));
    const env = { POSTHASTE_URL: posthaste.url, POSTHASTE_KEY: TEST_KEY };
    await using publishing = spawnWatched(runner(), [publisher, "invoice.paid", '{"invoice":"in_7"}'], env);
    assert.deepEqual(await publishing.exited, { code: 0, signal: null }, publishing.printed.stderr);
    const id = /^published .*"id":"([\w-]+)"/.exec(publishing.printed.stdout)?.[1];
    assert.ok(id !== undefined, publishing.printed.stdout);
    const [line] = await receiver.match(/^.*(?:verified|refused).*\n/m);
    assert.match(line, new RegExp(`^verified invoice\\.paid ${id} \\{"invoice": ?"in_7"\\}\\n$`));
  });

  test(`${name}: the publisher ends with a failure and the reason when the key is wrong`, async () => {
    using folder = openFolder();
    await using posthaste = await startServe(folder.path);
    const env = { POSTHASTE_URL: posthaste.url, POSTHASTE_KEY: "phk_not-a-key-of-this-system" };
    await using publishing = spawnWatched(runner(), [publisher], env);
    assert.equal((await publishing.exited).code, 1);
    assert.match(publishing.printed.stderr, /401 .*unauthenticated/);
    assert.equal(publishing.printed.stdout, "");
  });

  test(`${name}: the receiver takes a genuine delivery, once, and also after a rotation`, async () => {
    await using receiver = await startReceiver(language);
    const genuine = sign("msg_1", Date.now());
    assert.equal(await send(receiver.url, genuine.headers), 204);
    await receiver.match(/^verified invoice\.paid msg_1 /m);
    assert.equal(await send(receiver.url, genuine.headers), 204);
    await receiver.match(/^known already msg_1$/m);
    const other = sign("msg_2", Date.now(), `whsec_${Buffer.alloc(32, 9).toString("base64")}`);
    const own = sign("msg_2", Date.now());
    const both = `${other.headers["webhook-signature"]} ${own.headers["webhook-signature"]}`;
    assert.equal(await send(receiver.url, { ...own.headers, "webhook-signature": both }), 204);
    await receiver.match(/^verified invoice\.paid msg_2 /m);
  });

  test(`${name}: the receiver refuses what was tampered with, is old, or is not signed`, async () => {
    await using receiver = await startReceiver(language);
    const genuine = sign("msg_3", Date.now());
    const tampered = BODY.replace("12.5", "99.5");
    const refused: readonly (readonly [Signed["headers"], string, RegExp])[] = [
      [genuine.headers, tampered, /^refused: no signature fits$/m],
      [{ ...genuine.headers, "webhook-id": "msg_4" }, BODY, /^refused: no signature fits$/m],
      [{ ...genuine.headers, "webhook-signature": "v1,AAAA v1,* v2," }, BODY, /^refused: no signature fits$/m],
      [sign("msg_5", Date.now() - 301_000).headers, BODY, /^refused: the timestamp is too far from now$/m],
      [sign("msg_6", Date.now() + 310_000).headers, BODY, /^refused: the timestamp is too far from now$/m],
      [{ ...genuine.headers, "webhook-timestamp": "soon" }, BODY, /^refused: the timestamp is not a number$/m],
      [{}, BODY, /^refused: a webhook header is missing$/m],
    ];
    for (const [headers, body, line] of refused) {
      assert.equal(await send(receiver.url, headers, body), 401, line.source);
      await receiver.match(line);
    }
    assert.equal(receiver.printed.stdout.match(/^refused: /gm)?.length, refused.length);
    assert.doesNotMatch(receiver.printed.stdout, /verified/);
  });
}
