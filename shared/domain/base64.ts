/**
 * Standard padded base64 (RFC 4648 section 4) for keys and signatures, which are tens of bytes long.
 * Decoding is strict on purpose: a decoder that skips a bad character turns a mistyped secret into a silent wrong key.
 */

import { assert } from "../lib/assert.ts";

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const PAD = "=";
const INVALID = 255;
const valueByCode = buildValueByCode();

export function encodeBase64(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 3) {
    const [first = 0, second, third] = [bytes[at], bytes[at + 1], bytes[at + 2]];
    const group = (first << 16) | ((second ?? 0) << 8) | (third ?? 0);
    text += ALPHABET.charAt(group >> 18) + ALPHABET.charAt((group >> 12) & 63);
    text += second === undefined ? PAD : ALPHABET.charAt((group >> 6) & 63);
    text += third === undefined ? PAD : ALPHABET.charAt(group & 63);
  }
  return text;
}

/**
 * The one decoding of a canonical text, or null: no white space, no URL-safe letters, padding complete, unused bits zero.
 * For every text it accepts, `encodeBase64` gives that same text back.
 */
export function decodeBase64(text: string): Uint8Array<ArrayBuffer> | null {
  if (text.length % 4 !== 0) return null;
  const padding = text.endsWith("==") ? 2 : text.endsWith(PAD) ? 1 : 0;
  const digits = text.length - padding;
  const bytes = new Uint8Array((text.length / 4) * 3 - padding);
  let bits = 0;
  let bitCount = 0;
  let at = 0;
  for (let index = 0; index < digits; index++) {
    const value = valueByCode[text.charCodeAt(index)] ?? INVALID;
    if (value === INVALID) return null;
    bits = ((bits << 6) | value) & 0xffff;
    bitCount += 6;
    if (bitCount < 8) continue;
    bitCount -= 8;
    bytes[at++] = (bits >> bitCount) & 255;
  }
  if ((bits & ((1 << bitCount) - 1)) !== 0) return null;
  assert(at === bytes.length, "base64 decoding filled its bytes");
  return bytes;
}

function buildValueByCode(): Uint8Array {
  const table = new Uint8Array(128).fill(INVALID);
  for (let value = 0; value < ALPHABET.length; value++) table[ALPHABET.charCodeAt(value)] = value;
  return table;
}
