/**
 * Crockford's base32 in lower case: digits, then letters without i, l, o and u. The letters rise in ASCII order,
 * so texts of one length sort as the numbers they stand for. Encoding only: ids are compared, never taken apart.
 */

import { assert } from "../lib/assert.ts";

export const BASE32_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";

/** Ten bits at a time: each event has an id to be written. */
const PAIRS = Array.from(
  { length: 1024 },
  (_, bits) => BASE32_ALPHABET.charAt(bits >> 5) + BASE32_ALPHABET.charAt(bits & 31),
);

/** Five bits a letter, the highest first; the last letter is filled with zero bits. Ten bytes become sixteen letters. */
export function encodeBase32(bytes: Uint8Array): string {
  let text = "";
  let bits = 0;
  let bitCount = 0;
  for (let at = 0; at < bytes.length; at++) {
    bits = ((bits << 8) | (bytes[at] ?? 0)) & 0x3ffff;
    bitCount += 8;
    if (bitCount < 10) continue;
    bitCount -= 10;
    text += PAIRS[(bits >> bitCount) & 1023] ?? "";
  }
  if (bitCount >= 5) {
    bitCount -= 5;
    text += BASE32_ALPHABET.charAt((bits >> bitCount) & 31);
  }
  if (bitCount > 0) text += BASE32_ALPHABET.charAt((bits << (5 - bitCount)) & 31);
  return text;
}

/** A whole number from 0 to 2^53-1 in exactly `length` letters, with leading zeros; it must fit. */
export function encodeBase32Number(value: number, length: number): string {
  assert(Number.isSafeInteger(value) && value >= 0, "a base32 number is a whole number");
  let text = "";
  let rest = value;
  for (let count = length; count > 1; count -= 2) {
    text = (PAIRS[rest % 1024] ?? "") + text;
    rest = Math.floor(rest / 1024);
  }
  if (length % 2 === 1) {
    text = BASE32_ALPHABET.charAt(rest % 32) + text;
    rest = Math.floor(rest / 32);
  }
  assert(rest === 0, "a base32 number fits its length");
  return text;
}
