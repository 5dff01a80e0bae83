/** The real ambient keeps the promises of `lib/ambient.ts`. */
import assert from "node:assert/strict";
import { test } from "node:test";

import fc from "fast-check";

import { createSealer, systemClock, systemEntropy, systemHasher } from "@posthaste/shared/drivers/system.ts";
import { DeadlineExceeded } from "@posthaste/shared/lib/ambient.ts";

const key = new Uint8Array(32).fill(7);
const secret = new TextEncoder().encode("whsec_of_somebody");
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

function fired(ms: number): Promise<void> {
  return new Promise((resolve) => systemClock.timer(ms, resolve));
}

function aborted(signal: AbortSignal): Promise<unknown> {
  return new Promise((resolve) => {
    signal.addEventListener("abort", () => resolve(signal.reason), { once: true });
  });
}

test("open() gives back what seal() took, for any bytes and context", () => {
  const sealer = createSealer(key);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.string(), (plain, context) => {
      assert.deepEqual([...sealer.open(sealer.seal(plain, context), context)], [...plain]);
    }),
  );
});

test("open() refuses sealed bytes with any one bit changed", () => {
  const sealer = createSealer(key);
  const sealed = sealer.seal(secret, "endpoint 1");
  for (let at = 0; at < sealed.length * 8; at++) {
    const changed = sealed.slice();
    changed[at >> 3] = (changed[at >> 3] ?? 0) ^ (1 << (at & 7));
    assert.throws(() => sealer.open(changed, "endpoint 1"), `bit ${at}`);
  }
});

test("open() refuses another context", () => {
  const sealer = createSealer(key);
  const sealed = sealer.seal(secret, "endpoint 1");
  assert.throws(() => sealer.open(sealed, "endpoint 2"), /do not open/);
});

test("open() refuses another key", () => {
  const sealed = createSealer(key).seal(secret, "endpoint 1");
  assert.throws(() => createSealer(new Uint8Array(32).fill(8)).open(sealed, "endpoint 1"), /do not open/);
});

test("what derived() seals opens by the same purpose alone, and across a change of keys", () => {
  const next = new Uint8Array(32).fill(8);
  const sealed = createSealer(key).derived("cursors").seal(secret, "c");
  for (const sealer of [createSealer(key), createSealer(key, { next }), createSealer(next, { previous: key })]) {
    assert.deepEqual(sealer.derived("cursors").open(sealed, "c"), secret);
    assert.throws(() => sealer.open(sealed, "c"), /do not open/);
    assert.throws(() => sealer.derived("others").open(sealed, "c"), /do not open/);
  }
});

test("open() refuses bytes that are too short or of another version", () => {
  const sealer = createSealer(key);
  const sealed = sealer.seal(new Uint8Array(0), "c");
  for (const length of [0, 1, 13, 28]) assert.throws(() => sealer.open(sealed.subarray(0, length), "c"), /not sealed/);
  sealed[0] = 2;
  assert.throws(() => sealer.open(sealed, "c"), /not sealed bytes of version 1/);
});

test("while keys are changed the present one seals and each of them opens", () => {
  const [old, next] = [new Uint8Array(32).fill(8), new Uint8Array(32).fill(9)];
  const sealer = createSealer(key, { previous: old, next });
  for (const other of [key, old, next]) {
    const sealed = createSealer(other).seal(secret, "endpoint 1");
    assert.deepEqual([...sealer.open(sealed, "endpoint 1")], [...secret]);
    assert.equal(sealer.isCurrent(sealed, "endpoint 1"), other === key);
    assert.throws(() => sealer.open(sealed, "endpoint 2"), /do not open/);
    assert.equal(sealer.isCurrent(sealed, "endpoint 2"), false);
  }
  const foreign = createSealer(new Uint8Array(32).fill(1)).seal(secret, "endpoint 1");
  assert.throws(() => sealer.open(foreign, "endpoint 1"), /do not open/);
  assert.deepEqual([...createSealer(key).open(sealer.seal(secret, "c"), "c")], [...secret]);
  assert.deepEqual([...createSealer(old).open(sealer.sealUntilResealed(secret, "c"), "c")], [...secret]);
  const alone = createSealer(key, { next });
  assert.equal(alone.isCurrent(alone.sealUntilResealed(secret, "c"), "c"), true);
  assert.equal(sealer.isCurrent(new Uint8Array(5), "c"), false);
});

test("seal() writes version, nonce, tag and ciphertext, and never the same bytes twice", () => {
  const sealer = createSealer(key);
  const [first, second] = [sealer.seal(secret, "c"), sealer.seal(secret, "c")];
  assert.equal(first.length, 1 + 12 + 16 + secret.length);
  assert.equal(first[0], 1);
  assert.notEqual(hex(first.subarray(1, 13)), hex(second.subarray(1, 13)));
  assert.notEqual(hex(first.subarray(29)), hex(second.subarray(29)));
});

test("createSealer() takes a key of exactly 32 bytes and keeps its own copy", () => {
  for (const length of [0, 16, 31, 33]) assert.throws(() => createSealer(new Uint8Array(length)), /32 bytes/);
  const mine = key.slice();
  const sealer = createSealer(mine);
  const sealed = sealer.seal(secret, "c");
  mine.fill(0);
  assert.equal(hex(sealer.open(sealed, "c")), hex(secret));
});

test("bytes() gives exactly as many bytes as asked, on memory of their own", () => {
  for (const count of [1, 10, 256, 257, 8192, 65_536]) {
    const bytes = systemEntropy.bytes(count);
    assert.equal(bytes.length, count);
    assert.equal(bytes.buffer.byteLength, count);
  }
});

test("bytes() does not repeat itself across refills of its pool", () => {
  const seen = new Set<string>();
  for (let round = 0; round < 5000; round++) seen.add(hex(systemEntropy.bytes(10)));
  assert.equal(seen.size, 5000);
});

test("bytes() refuses counts outside 1 to 65,536", () => {
  for (const count of [0, -1, 1.5, 65_537, Number.NaN]) assert.throws(() => systemEntropy.bytes(count), /65536 bytes/);
});

test("fraction() lies in [0, 1)", () => {
  for (let round = 0; round < 1000; round++) {
    const fraction = systemEntropy.fraction();
    assert.ok(fraction >= 0 && fraction < 1);
  }
});

test("sha256() agrees with FIPS 180-4 for abc", () => {
  const expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  assert.equal(hex(systemHasher.sha256("abc")), expected);
  assert.equal(hex(systemHasher.sha256(new TextEncoder().encode("abc"))), expected);
});

test("hmacSha256() agrees with RFC 4231 test case 2", () => {
  const encoder = new TextEncoder();
  const mac = systemHasher.hmacSha256(encoder.encode("Jefe"), "what do ya want ", encoder.encode("for nothing?"));
  assert.equal(hex(mac), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
});

test("isEqual() tells equal from unequal bytes, also of unequal length", () => {
  assert.equal(systemHasher.isEqual(Uint8Array.of(1, 2), Uint8Array.of(1, 2)), true);
  assert.equal(systemHasher.isEqual(Uint8Array.of(1, 2), Uint8Array.of(1, 3)), false);
  assert.equal(systemHasher.isEqual(Uint8Array.of(1, 2), Uint8Array.of(1, 2, 3)), false);
});

test("timer() does not run a cancelled callback, and cancelling twice is harmless", async () => {
  let count = 0;
  const cancel = systemClock.timer(1, () => count++);
  cancel();
  cancel();
  await fired(20);
  assert.equal(count, 0);
});

test("timer() clamps a wait beyond 2^31-1 instead of firing at once", async () => {
  let isFired = false;
  const cancel = systemClock.timer(2 ** 40, () => {
    isFired = true;
  });
  await fired(20);
  cancel();
  assert.equal(isFired, false);
});

test("soon() runs after the promises at hand", async () => {
  const order: string[] = [];
  await new Promise<void>((resolve) => {
    systemClock.soon(() => {
      order.push("soon");
      resolve();
    });
    void Promise.resolve().then(() => order.push("promise"));
  });
  assert.deepEqual(order, ["promise", "soon"]);
});

test("monotonic() never goes backwards", () => {
  let last = systemClock.monotonic();
  for (let round = 0; round < 1000; round++) {
    const next = systemClock.monotonic();
    assert.ok(next >= last);
    last = next;
  }
});

test("sleep() resolves after its time, and rejects with the signal's reason as soon as it is aborted", async () => {
  const controller = new AbortController();
  await systemClock.sleep(1, controller.signal);
  const sleeping = systemClock.sleep(60_000, controller.signal);
  controller.abort(new Error("stop"));
  await assert.rejects(sleeping, /stop/);
  await assert.rejects(systemClock.sleep(1, controller.signal), /stop/);
});

test("deadline() aborts with DeadlineExceeded after its time", async () => {
  const deadline = systemClock.deadline(5);
  const reason = await aborted(deadline.signal);
  assert.ok(reason instanceof DeadlineExceeded);
  assert.equal(reason.afterMs, 5);
});

test("deadline() aborts with the reason of its parent, also of one that was aborted before", async () => {
  const parent = new AbortController();
  const deadline = systemClock.deadline(60_000, parent.signal);
  const reason = aborted(deadline.signal);
  parent.abort("leaving");
  assert.equal(await reason, "leaving");
  const late = systemClock.deadline(60_000, parent.signal);
  assert.equal(late.signal.aborted, true);
  assert.equal(late.signal.reason, "leaving");
  late[Symbol.dispose]();
});

test("a disposed deadline never aborts, neither by time nor by its parent", async () => {
  const parent = new AbortController();
  const deadline = systemClock.deadline(1, parent.signal);
  deadline[Symbol.dispose]();
  await fired(20);
  parent.abort();
  assert.equal(deadline.signal.aborted, false);
});

test("deadline() leaves no listener on its parent, whichever way it ends", async () => {
  const parent = new AbortController();
  let listeners = 0;
  const { signal } = parent;
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  signal.addEventListener = (...parts: Parameters<typeof add>): void => {
    listeners += 1;
    add(...parts);
  };
  signal.removeEventListener = (...parts: Parameters<typeof remove>): void => {
    listeners -= 1;
    remove(...parts);
  };
  systemClock.deadline(60_000, signal)[Symbol.dispose]();
  assert.equal(listeners, 0);
  await aborted(systemClock.deadline(1, signal).signal);
  assert.equal(listeners, 0);
});
