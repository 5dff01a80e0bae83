/**
 * Crockford's base32 in lower case: digits, then letters without i, l, o and u. The letters rise in ASCII order,
 * so texts of one length sort as the numbers they stand for. Encoding only: ids are compared, never taken apart.
 */

import { assert } from "../lib/assert.ts";

export const BASE32_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";

/** Five bits a letter, the highest first; the last letter is filled with zero bits. Ten bytes become sixteen letters. */
export function encodeBase32(bytes: Uint8Array): string {
  let text = "";
  let bits = 0;
  let bitCount = 0;
  for (const byte of bytes) {
    bits = ((bits << 8) | byte) & 0xfff;
    bitCount += 8;
    while (bitCount >= 5) {
      bitCount -= 5;
      text += BASE32_ALPHABET.charAt((bits >> bitCount) & 31);
    }
  }
  if (bitCount > 0) text += BASE32_ALPHABET.charAt((bits << (5 - bitCount)) & 31);
  return text;
}

/** A whole number from 0 to 2^53-1 in exactly `length` letters, with leading zeros; it must fit. */
export function encodeBase32Number(value: number, length: number): string {
  assert(Number.isSafeInteger(value) && value >= 0, "a base32 number is a whole number");
  let text = "";
  let rest = value;
  for (let count = 0; count < length; count++) {
    text = BASE32_ALPHABET.charAt(rest % 32) + text;
    rest = Math.floor(rest / 32);
  }
  assert(rest === 0, "a base32 number fits its length");
  return text;
}
