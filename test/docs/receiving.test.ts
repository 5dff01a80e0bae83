/** The code of docs/receiving.md takes what is genuine and refuses all else, in each of its languages. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "@posthaste/shared/drivers/system.ts";
import { Webhook } from "standardwebhooks";
import { LANGUAGES, verdictsOf } from "./verify-guide.ts";

const SECRET = `whsec_${Buffer.alloc(32, 7).toString("base64")}`;
const OTHER_SECRET = `whsec_${Buffer.alloc(32, 9).toString("base64")}`;
const BODY = '{"type":"invoice.paid","timestamp":"2026-01-31T00:00:00Z","data":{"amount":12.50,"name":"Zoë 日本"}}';

interface Case {
  readonly id: string;
  readonly timestamp: string;
  readonly signature: string;
  readonly body: string;
  /** Empty: it is genuine. */
  readonly fault: string;
}

/** Signed by the reference library, so that the guide is held to the standard. */
function cases(): readonly Case[] {
  // The code of the guide compares it with the clock of the machine.
  const nowMs = systemClock.now();
  const signed = (atMs: number, secret = SECRET): Omit<Case, "fault"> => ({
    id: "evt_1",
    timestamp: String(Math.floor(atMs / 1000)),
    signature: new Webhook(secret).sign("evt_1", new Date(atMs), BODY),
    body: BODY,
  });
  const genuine = signed(nowMs);
  const other = signed(nowMs, OTHER_SECRET);
  const late = "the timestamp is too far from now";
  const unfit = "no signature fits";
  const missing = "a webhook header is missing";
  return [
    { ...genuine, fault: "" },
    { ...genuine, signature: `${other.signature} ${genuine.signature}`, fault: "" },
    { ...genuine, signature: `v2,AAAA ${genuine.signature} v1,`, fault: "" },
    { ...genuine, body: BODY.replace("12.50", "12.5"), fault: unfit },
    { ...genuine, body: `${BODY} `, fault: unfit },
    { ...genuine, id: "evt_2", fault: unfit },
    { ...other, fault: unfit },
    { ...genuine, signature: "v1, v2,x v1,AAAA v1 v1,%%%", fault: unfit },
    { ...genuine, signature: genuine.signature.replace("v1,", "v2,"), fault: unfit },
    { ...genuine, signature: genuine.signature.replace("v1,", ""), fault: unfit },
    { ...signed(nowMs - 301_000), fault: late },
    { ...signed(nowMs + 310_000), fault: late },
    { ...genuine, timestamp: "soon", fault: late },
    { ...genuine, timestamp: `-${genuine.timestamp}`, fault: late },
    { ...genuine, timestamp: "9".repeat(400), fault: late },
    { ...genuine, id: "", fault: missing },
    { ...genuine, timestamp: "", fault: missing },
    { ...genuine, signature: "", fault: missing },
  ];
}

for (const [name, language] of Object.entries(LANGUAGES)) {
  test(`the ${name} of the guide takes what is genuine and refuses all else`, () => {
    const all = cases();
    const lines = all.map(({ id, timestamp, signature, body }) =>
      [id, timestamp, signature, Buffer.from(body).toString("base64")].join("\t"),
    );
    assert.deepEqual(
      verdictsOf(language, SECRET, lines),
      all.map(({ fault }) => fault),
    );
  });
}
