import { strict as assert } from "node:assert";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import { decodeBase64, encodeBase64 } from "@posthaste/shared/domain/base64.ts";
import {
  newSecret,
  parseSecret,
  SECRET_BYTES,
  SIGNATURES_MAX,
  signMessage,
  TOLERANCE_S,
  verifyMessage,
} from "@posthaste/shared/domain/signature.ts";
import type { MessageToVerify } from "@posthaste/shared/domain/signature.ts";
import fc from "fast-check";
import { Webhook } from "standardwebhooks";
import { seededEntropy, testHasher } from "../support/ambient.ts";

const hasher = testHasher;
const encoder = new TextEncoder();
const verified = { kind: "verified" };

/** The example of Standard Webhooks 1.0.0. */
const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const key = keyOf(secret);
const id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
const timestampS = 1_614_265_330;
const body = encoder.encode('{"test": 2432232314}');
const signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
const example: MessageToVerify = {
  id,
  timestamp: String(timestampS),
  signature,
  body,
  keys: [key],
  hasher,
  nowS: timestampS,
  toleranceS: TOLERANCE_S,
};

function keyOf(text: string): Uint8Array {
  const parsed = parseSecret(text);
  assert.ok(parsed.kind === "ok");
  return parsed.key;
}

function reasonOf(change: Partial<MessageToVerify>): string {
  const verification = verifyMessage({ ...example, ...change });
  return verification.kind === "rejected" ? verification.reason : "verified";
}

test("signMessage() gives the signature of the standard's example", () => {
  assert.equal(signMessage({ id, timestampS, body, keys: [key], hasher }), signature);
});

test("verifyMessage() verifies the standard's example", () => {
  assert.deepEqual(verifyMessage(example), verified);
});

const anyMessage = fc.record({
  id: fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/),
  timestampS: fc.nat({ max: 4_000_000_000 }),
  text: fc.string({ unit: "grapheme", maxLength: 200 }),
  seeds: fc.array(fc.integer(), { minLength: 1, maxLength: 3 }),
});

test("signMessage() agrees with the published library, key by key", () => {
  fc.assert(
    fc.property(anyMessage, ({ text, seeds, ...head }) => {
      const secrets = seeds.map((seed) => newSecret(seededEntropy(seed)));
      const ours = signMessage({ ...head, body: encoder.encode(text), keys: secrets.map(keyOf), hasher });
      const theirs = secrets.map((each) => new Webhook(each).sign(head.id, new Date(head.timestampS * 1000), text));
      assert.equal(ours, theirs.join(" "));
    }),
  );
});

test("the published library verifies a message of ours by the old secret and by the new", () => {
  // The library reads the machine's clock, so the message is dated by it too.
  const nowS = Math.floor(Date.now() / 1000);
  const secrets = [newSecret(seededEntropy(1)), newSecret(seededEntropy(2))];
  const header = signMessage({ id, timestampS: nowS, body: encoder.encode("{}"), keys: secrets.map(keyOf), hasher });
  const headers = { "webhook-id": id, "webhook-timestamp": String(nowS), "webhook-signature": header };
  for (const each of secrets) assert.deepEqual(new Webhook(each).verify("{}", headers), {});
  assert.throws(() => new Webhook(newSecret(seededEntropy(3))).verify("{}", headers));
});

test("verifyMessage() verifies what signMessage() signed, by each of the keys alone", () => {
  fc.assert(
    fc.property(anyMessage, ({ text, seeds, ...head }) => {
      const keys = seeds.map((seed) => keyOf(newSecret(seededEntropy(seed))));
      const bytes = encoder.encode(text);
      const header = signMessage({ ...head, body: bytes, keys, hasher });
      assert.equal(header.split(" ").length, keys.length);
      for (const one of keys) {
        const message = {
          id: head.id,
          timestamp: String(head.timestampS),
          signature: header,
          body: bytes,
          keys: [one],
        };
        assert.deepEqual(verifyMessage({ ...message, hasher, nowS: head.timestampS, toleranceS: 0 }), verified);
      }
    }),
  );
});

test("one changed bit of body, key or signature breaks a signature", () => {
  const mac = decodeBase64(signature.slice(3)) ?? new Uint8Array();
  const part = fc.constantFrom<"body" | "key" | "signature">("body", "key", "signature");
  fc.assert(
    fc.property(part, fc.nat(), fc.nat({ max: 7 }), (name, at, bit) => {
      const flip = (bytes: Uint8Array): Uint8Array => {
        const place = at % bytes.length;
        return bytes.map((byte, index) => (index === place ? byte ^ (1 << bit) : byte));
      };
      const changes = {
        body: { body: flip(body) },
        key: { keys: [flip(key)] },
        signature: { signature: `v1,${encodeBase64(flip(mac))}` },
      };
      assert.equal(reasonOf(changes[name]), "No signature of the message fits the secret.");
    }),
    { numRuns: 300 },
  );
});

test("the bytes of a body are signed as they are, be they UTF-8 or not", () => {
  const bytes = Uint8Array.of(0xff, 0x00, 0xc3);
  const header = signMessage({ id, timestampS, body: bytes, keys: [key], hasher });
  assert.equal(reasonOf({ body: bytes, signature: header }), "verified");
  assert.notEqual(reasonOf({ body: encoder.encode(new TextDecoder().decode(bytes)), signature: header }), "verified");
});

const missing = (name: string): string => `The header ${name} is missing.`;
const noTime = "The header webhook-timestamp is not a time in whole Unix seconds.";
const noFit = "No signature of the message fits the secret.";
const noV1 = "The header webhook-signature holds no v1 signature.";
const rejections: readonly (readonly [change: Partial<MessageToVerify>, reason: string])[] = [
  [{ id: null }, missing("webhook-id")],
  [{ id: "" }, missing("webhook-id")],
  [{ timestamp: null }, missing("webhook-timestamp")],
  [{ timestamp: "" }, missing("webhook-timestamp")],
  [{ signature: null }, missing("webhook-signature")],
  [{ signature: "" }, missing("webhook-signature")],
  [{ timestamp: "1614265330.0" }, noTime],
  [{ timestamp: "01614265330" }, noTime],
  [{ timestamp: "-1" }, noTime],
  [{ timestamp: "+1614265330" }, noTime],
  [{ timestamp: "1614265330 " }, noTime],
  [{ timestamp: "1e9" }, noTime],
  [{ timestamp: "0x60380db2" }, noTime],
  [{ timestamp: "9".repeat(13) }, noTime],
  [{ nowS: timestampS + 301 }, "The header webhook-timestamp is more than 300 s in the past."],
  [{ nowS: timestampS - 301 }, "The header webhook-timestamp is more than 300 s in the future."],
  [{ timestamp: String(timestampS + 1) }, noFit],
  [{ id: `${id}x` }, noFit],
  [{ body: new Uint8Array() }, noFit],
  [{ keys: [] }, noFit],
  [{ keys: [key.map((byte) => byte ^ 1)] }, noFit],
  [{ signature: "v1," }, noFit],
  [{ signature: signature.slice(3) }, noV1],
  [{ signature: signature.replace("v1,", "v1a,") }, noV1],
  [{ signature: signature.replace("v1,", "v2,") }, noV1],
  [{ signature: signature.replace("v1,", "V1,") }, noV1],
  [{ signature: signature.slice(0, -1) }, noV1],
  [{ signature: signature.replaceAll("+", "-").replaceAll("/", "_") }, noV1],
  [{ signature: signature.replace("OE=", "OF=") }, noV1],
  [{ signature: `v1,${encodeBase64(new Uint8Array(31))}` }, noFit],
  [
    { signature: `${"v1,AAAA ".repeat(SIGNATURES_MAX)}${signature}` },
    "The header webhook-signature lists more than 16 signatures.",
  ],
];

for (const [change, reason] of rejections) {
  const [[name, value] = ["", ""]] = Object.entries(change);
  const shown = value instanceof Uint8Array || Array.isArray(value) ? value.length : JSON.stringify(value);
  test(`verifyMessage() rejects ${name} = ${String(shown).slice(0, 60)}: ${reason}`, () => {
    assert.equal(reasonOf(change), reason);
  });
}

for (const [name, change] of [
  ["at the edge of the tolerance in the past", { nowS: timestampS + 300 }],
  ["at the edge of the tolerance in the future", { nowS: timestampS - 300 }],
  ["among signatures of other keys and schemes", { signature: `v1a,zzz v1,AAAA ${signature} v1,!!!! v9,` }],
  ["with the old key behind the new", { keys: [new Uint8Array(32), key] }],
  ["as the last of sixteen signatures", { signature: `${"v1,AAAA ".repeat(SIGNATURES_MAX - 1)}${signature}` }],
] as const) {
  test(`verifyMessage() verifies a message ${name}`, () => {
    assert.equal(reasonOf(change), "verified");
  });
}

test("verifyMessage() compares through the hasher alone, each signature with each key", () => {
  let compared = 0;
  const isEqual = (left: Uint8Array, right: Uint8Array): boolean => {
    compared++;
    return hasher.isEqual(left, right);
  };
  const keys = [key, new Uint8Array(24)];
  const verification = verifyMessage({
    ...example,
    signature: `${signature} v1,AAAA`,
    keys,
    hasher: { ...hasher, isEqual },
  });
  assert.deepEqual([verification, compared], [verified, 4]);
});

for (const [name, change] of [
  ["an empty id", { id: "" }],
  ["a dot in the id", { id: "a.b" }],
  ["a fraction of a second", { timestampS: 0.5 }],
  ["no key", { keys: [] }],
] as const) {
  test(`signMessage() takes ${name} for a broken invariant`, () => {
    assert.throws(() => signMessage({ id, timestampS, body, keys: [key], hasher, ...change }), {
      name: "AssertionFailure",
    });
  });
}

test("newSecret() gives 32 bytes in the form that parseSecret() reads, never the same twice", () => {
  const entropy = seededEntropy(11);
  const secrets = Array.from({ length: 1000 }, () => newSecret(entropy));
  for (const each of secrets) assert.equal(keyOf(each).length, SECRET_BYTES);
  assert.equal(new Set(secrets).size, secrets.length);
});

for (const length of [24, 25, 26, 32, 63, 64]) {
  test(`parseSecret() reads a secret of ${length} bytes`, () => {
    const bytes = seededEntropy(length).bytes(length);
    assert.deepEqual(parseSecret(`whsec_${Buffer.from(bytes).toString("base64")}`), { kind: "ok", key: bytes });
  });
}

const sound = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const badSecrets: readonly (readonly [text: string, reason: RegExp])[] = [
  ["", /^A secret starts with whsec_\.$/],
  [sound, /starts with/],
  [`WHSEC_${sound}`, /starts with/],
  [` whsec_${sound}`, /starts with/],
  [`whsk_${sound}`, /starts with/],
  ["whsec_", /24 to 64 bytes; this one holds 0\.$/],
  [`whsec_${"A".repeat(28)}`, /holds 21\.$/],
  [`whsec_${"A".repeat(31)}=`, /holds 23\.$/],
  [`whsec_${"A".repeat(87)}=`, /holds 65\.$/],
  [`whsec_${"A".repeat(10_000)}`, /is longer\.$/],
  [`whsec_${sound}\n`, /standard base64/],
  [`whsec_${sound.slice(0, 16)} ${sound.slice(17)}`, /standard base64/],
  [`whsec_${sound.replace("q", "-")}`, /standard base64/],
  [`whsec_${sound.replace("q", "_")}`, /standard base64/],
  [`whsec_${sound.replace("q", "é")}`, /standard base64/],
  [`whsec_${sound.replace("q", "=")}`, /standard base64/],
  [`whsec_${sound}AA`, /standard base64/],
  [`whsec_${sound}AAA`, /standard base64/],
  [`whsec_${sound}AB==`, /standard base64/],
  [`whsec_${sound}AAB=`, /standard base64/],
  [`whsec_${sound}A===`, /standard base64/],
  [`whsec_${sound}====`, /standard base64/],
];

for (const [text, reason] of badSecrets) {
  test(`parseSecret() refuses ${JSON.stringify(text.slice(0, 60))} and repeats none of it`, () => {
    const parsed = parseSecret(text);
    assert.ok(parsed.kind === "invalid");
    assert.match(parsed.reason, reason);
    assert.ok(!parsed.reason.includes(sound.slice(0, 8)) && !parsed.reason.includes("AAAA"));
  });
}

test("encodeBase64() agrees with the platform and decodeBase64() takes it back", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      const text = encodeBase64(bytes);
      assert.equal(text, Buffer.from(bytes).toString("base64"));
      assert.deepEqual(decodeBase64(text), new Uint8Array(bytes));
    }),
  );
});

test("decodeBase64() accepts a text only if encodeBase64() would have written it", () => {
  const unit = fc.constantFrom(..."AQgwBz09+/==-_ \n\u0141".split(""));
  fc.assert(
    fc.property(fc.string({ unit, maxLength: 12 }), (text) => {
      const isCanonical = Buffer.from(text, "base64").toString("base64") === text;
      assert.equal(decodeBase64(text) !== null, isCanonical, text);
    }),
    { numRuns: 5000 },
  );
});
