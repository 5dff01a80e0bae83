import assert from "node:assert/strict";
import { test } from "node:test";
import { crc32c } from "@posthaste/shared/lib/crc32c.ts";

const up = Uint8Array.from({ length: 32 }, (_, index) => index);
/** RFC 3720 appendix B.4, and the catalogue's check value. */
const KNOWN: readonly (readonly [string, Uint8Array, number])[] = [
  ["nothing", new Uint8Array(), 0],
  ["123456789", new TextEncoder().encode("123456789"), 0xe3069283],
  ["32 bytes of zeros", new Uint8Array(32), 0x8a9136aa],
  ["32 bytes of ones", new Uint8Array(32).fill(0xff), 0x62a8ab43],
  ["32 bytes that count up", up, 0x46dd794e],
  ["32 bytes that count down", up.toReversed(), 0x113fdb5c],
];

for (const [name, bytes, crc] of KNOWN) {
  test(`crc32c: ${name}`, () => {
    assert.equal(crc32c(bytes), crc);
  });
}

test("crc32c: of every length up to 64 it is that of one bit after the other, wherever the bytes begin", () => {
  const bytes = Uint8Array.from({ length: 80 }, (_, index) => (index * 151 + 43) & 0xff);
  for (let start = 0; start < 9; start++) {
    for (let length = 0; length <= 64; length++) {
      const part = bytes.subarray(start, start + length);
      assert.equal(crc32c(part), bitByBit(part), `${length} bytes from ${start}`);
    }
  }
});

function bitByBit(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  }
  return ~crc >>> 0;
}
