/** `verify` by Standard Webhooks: against the reference library, against what Posthaste itself sends, and each refusal. */
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { test } from "node:test";
import { Webhook as Reference } from "standardwebhooks";
import { groupBody } from "@posthaste/shared/domain/envelope.ts";
import { attemptHeaders } from "@posthaste/shared/domain/message.ts";
import { RefusedWebhookError, verify } from "@posthaste/client/public.ts";
import type { HeadersLike, RefusalCode, VerifyOptions } from "@posthaste/client/public.ts";
import { testHasher } from "../support/ambient.ts";
import { endpointOf, envelopeOf } from "../support/samples.ts";

const SECRET = secretOf(7);
const OTHER_SECRET = secretOf(9);
const NOW_MS = 1_770_000_000_000;
const BODY = '{"type":"invoice.paid","timestamp":"2026-01-31T00:00:00Z","data":{"amount":12.50,"name":"Zoë"}}';
const OPTIONS: VerifyOptions = { secret: SECRET, now: () => NOW_MS };

function secretOf(byte: number, bytes = 32): string {
  return `whsec_${Buffer.alloc(bytes, byte).toString("base64")}`;
}

type Signed = Readonly<Record<"webhook-id" | "webhook-timestamp" | "webhook-signature", string>>;

function signed(body = BODY, { atMs = NOW_MS, secret = SECRET, id = "evt_1" } = {}): Signed {
  return {
    "webhook-id": id,
    "webhook-timestamp": String(Math.floor(atMs / 1000)),
    "webhook-signature": new Reference(secret).sign(id, new Date(atMs), body),
  };
}

async function refused(body: string, headers: Partial<Signed>, code: RefusalCode, options = OPTIONS): Promise<void> {
  await assert.rejects(verify(body, headers, options), (error) => {
    assert.ok(error instanceof RefusedWebhookError, String(error));
    assert.equal(error.code, code, error.message);
    return true;
  });
}

test("the example of the standard is genuine", async () => {
  const headers = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
  };
  const options = { secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", now: () => 1_614_265_330_000 };
  // The example's body is no event of the recommended form, which is looked at once it is genuine.
  await refused('{"test": 2432232314}', headers, "invalid-body", options);
  await refused('{"test": 2432232315}', headers, "no-signature-fits", options);
});

test("what the reference library signs is genuine, as text, bytes and buffer, under headers of every kind", async () => {
  const bytes = new TextEncoder().encode(BODY);
  const fields = signed();
  const upper = Object.fromEntries(Object.entries(fields).map(([name, value]) => [name.toUpperCase(), value]));
  const data = { amount: 12.5, name: "Zoë" };
  const event = { id: "evt_1", type: "invoice.paid", timestamp: "2026-01-31T00:00:00Z", data };
  const expected = { form: "single", id: "evt_1", signedAtS: NOW_MS / 1000, events: [event] };
  for (const body of [BODY, bytes, bytes.buffer, Buffer.from(`x${BODY}`).subarray(1)]) {
    for (const headers of [fields, upper, new Headers({ ...fields })] satisfies HeadersLike[]) {
      assert.deepEqual(await verify(body, headers, OPTIONS), expected);
    }
  }
});

test("what Posthaste sends is genuine, also after a rotation, one event or many", async () => {
  const endpoint = endpointOf("ep1");
  const rotated = { createdAtMs: 0, expiresAtMs: null };
  const secrets = [
    { ...rotated, secret: OTHER_SECRET },
    { ...rotated, secret: SECRET },
  ];
  const envelope = envelopeOf("evt_1");
  const parts = {
    endpoint: { ...endpoint, secrets },
    attempt: 1,
    nowMs: NOW_MS,
    traceparent: null,
    tracestate: null,
    hasher: testHasher,
  };
  for (const secret of [SECRET, OTHER_SECRET, [secretOf(1), SECRET]]) {
    const headers = attemptHeaders({ ...parts, id: "evt_1", body: envelope.body });
    const single = await verify(envelope.body, headers, { ...OPTIONS, secret });
    assert.deepEqual([single.form, single.events[0]?.id, single.events[0]?.type], ["single", "evt_1", envelope.type]);
  }
  const body = groupBody([envelope, envelopeOf("evt_2")], NOW_MS);
  const batch = await verify(body, attemptHeaders({ ...parts, id: "grp_1", body }), OPTIONS);
  assert.deepEqual([batch.form, batch.id, batch.events.map(({ id }) => id)], ["batch", "grp_1", ["evt_1", "evt_2"]]);
});

test("one signature of several is enough, and those of other schemes are passed over", async () => {
  const own = signed()["webhook-signature"];
  const other = signed(BODY, { secret: OTHER_SECRET })["webhook-signature"];
  for (const list of [
    `${other} ${own}`,
    `v1a,AAAA v2,x ${own} v1,short`,
    Array.from({ length: 16 }, () => own).join(" "),
  ]) {
    await verify(BODY, { ...signed(), "webhook-signature": list }, OPTIONS);
  }
  const many = Array.from({ length: 17 }, () => own).join(" ");
  await refused(BODY, { ...signed(), "webhook-signature": many }, "invalid-signature");
});

test("whatever was changed on the way is refused", async () => {
  const fields = signed();
  await refused(BODY.replace("12.50", "12.5"), fields, "no-signature-fits");
  await refused(`${BODY} `, fields, "no-signature-fits");
  await refused(BODY, { ...fields, "webhook-id": "evt_2" }, "no-signature-fits");
  await refused(BODY, { ...fields, "webhook-timestamp": String(NOW_MS / 1000 + 1) }, "no-signature-fits");
  await refused(BODY, signed(BODY, { secret: OTHER_SECRET }), "no-signature-fits");
  const given = fields["webhook-signature"];
  for (const place of [3, 20, given.length - 2]) {
    const changed = given.slice(0, place) + (given[place] === "A" ? "B" : "A") + given.slice(place + 1);
    await refused(BODY, { ...fields, "webhook-signature": changed }, "no-signature-fits");
  }
});

test("a header that is missing, empty or of another form is named", async () => {
  for (const name of ["webhook-id", "webhook-timestamp", "webhook-signature"] as const) {
    const { [name]: _, ...others } = signed();
    for (const headers of [others, { ...others, [name]: "" }, { ...others, [name]: ["a", "b"] }]) {
      const named = (error: unknown): boolean => String(error).endsWith(`the header ${name} is missing`);
      await assert.rejects(verify(BODY, headers, OPTIONS), named);
    }
  }
  for (const text of ["soon", "-1", "1e9", "1770000000.5", "01770000000", "1770000000000"]) {
    await refused(BODY, { ...signed(), "webhook-timestamp": text }, "invalid-timestamp");
  }
  const own = signed()["webhook-signature"];
  for (const text of ["v1,", "v1", "v2,AAAA", own.replace("v1,", "v1a,"), own.replace("=", ""), " "]) {
    await refused(BODY, { ...signed(), "webhook-signature": text }, "invalid-signature");
  }
});

test("a time is believed up to the tolerance, both ways, and no further", async () => {
  for (const [toleranceS, ageS, code] of [
    [undefined, 300, null],
    [undefined, -300, null],
    [undefined, 301, "too-old"],
    [undefined, -301, "too-new"],
    [10, 10, null],
    [10, 11, "too-old"],
    [10, -11, "too-new"],
  ] as const) {
    const fields = signed(BODY, { atMs: NOW_MS - ageS * 1000 });
    const options = { ...OPTIONS, toleranceS };
    if (code === null) await verify(BODY, fields, options);
    else await refused(BODY, fields, code, options);
  }
});

test("without a clock the runtime's is asked", async () => {
  await verify(BODY, signed(BODY, { atMs: Date.now() }), { secret: SECRET });
  await refused(BODY, signed(BODY, { atMs: Date.now() - 600_000 }), "too-old", { secret: SECRET });
});

test("a genuine body that is no event is refused as such", async () => {
  for (const body of [
    "",
    "null",
    "[]",
    "{",
    '{"type":"a","timestamp":"b"}',
    '{"type":1,"timestamp":"b","data":1}',
    '{"type":"posthaste.batch","timestamp":"b","data":{}}',
    '{"type":"posthaste.batch","timestamp":"b","data":[{"type":"a","timestamp":"b","data":1}]}',
  ]) {
    await refused(body, signed(body), "invalid-body");
  }
  // Not UTF-8, so that a receiver would read another name than was sent.
  const bytes = Buffer.from(BODY, "latin1");
  const signature = createHmac("sha256", Buffer.alloc(32, 7))
    .update(`evt_1.${NOW_MS / 1000}.`)
    .update(bytes);
  const headers = { ...signed(), "webhook-signature": `v1,${signature.digest("base64")}` };
  await assert.rejects(verify(bytes, headers, OPTIONS), { code: "invalid-body" });
});

test("what is wrong on this side is a TypeError and shows nothing of the secret", async () => {
  const mistake = async (call: Promise<unknown>, message: RegExp): Promise<void> => {
    await assert.rejects(call, (error) => {
      assert.ok(error instanceof TypeError, String(error));
      assert.match(error.message, message);
      return true;
    });
  };
  const parsed = JSON.parse(BODY) as string;
  await mistake(verify(parsed, signed(), OPTIONS), /as it came/);
  for (const secret of ["", "plain", SECRET.slice(6), `${SECRET}=`, SECRET.replace("=", ""), `${SECRET} `]) {
    await mistake(verify(BODY, signed(), { ...OPTIONS, secret }), /^a secret is whsec_ followed by padded base64/);
  }
  await mistake(verify(BODY, signed(), { ...OPTIONS, secret: secretOf(1, 23) }), /24 to 64 bytes, and this one 23/);
  await mistake(verify(BODY, signed(), { ...OPTIONS, secret: secretOf(1, 65) }), /24 to 64 bytes, and this one 65/);
  await mistake(verify(BODY, signed(), { ...OPTIONS, secret: [] }), /no secret/);
  const nine = Array.from({ length: 9 }, () => SECRET);
  await mistake(verify(BODY, signed(), { ...OPTIONS, secret: nine }), /more than 8 secrets/);
  for (const toleranceS of [0, -1, 3601, Number.NaN]) {
    await mistake(verify(BODY, signed(), { ...OPTIONS, toleranceS }), /toleranceS/);
  }
});
