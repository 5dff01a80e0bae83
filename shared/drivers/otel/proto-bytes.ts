/**
 * Writes protobuf ("Encoding"), as far as spans need it. Lengths are written with room for their largest value, which the encoding
 * allows: nothing is measured before it is written. Loops go over locals, as Bun 1.4.5 takes thrice as long over fields.
 */
const [VARINT, FIXED64, LENGTH, FIXED32] = [0, 1, 2, 5] as const;
/** Bytes of a length: up to 2 MiB for what is in a span, up to 2 GiB around all. */
export const SHORT = 3;
export const LONG = 5;
const TWO_32 = 2 ** 32;
/** A longer text is cut. */
const TEXT_MAX = 4096;
/** A longer text is written by the runtime: a call into it costs more than a short text does here. */
const LOOPED_MAX = 80;

export class ProtoBytes {
  #buffer: Buffer;
  #at = 0;

  constructor(size: number) {
    this.#buffer = Buffer.allocUnsafe(size);
  }

  taken(): Uint8Array {
    return this.#buffer.subarray(0, this.#at);
  }

  message(field: number, width: number, write: () => void): void {
    const start = this.open(field, width);
    write();
    this.close(start, width);
  }

  /** Where its content begins. */
  open(field: number, width: number): number {
    this.#room(16);
    this.#tag(field, LENGTH);
    this.#at += width;
    return this.#at;
  }

  close(start: number, width: number): void {
    const buffer = this.#buffer;
    let length = this.#at - start;
    for (let byte = width; byte > 0; byte--) {
      buffer[start - byte] = byte > 1 ? (length & 127) | 128 : length;
      length >>>= 7;
    }
  }

  /** What was written before, as it is. */
  raw(bytes: Uint8Array): void {
    this.#room(bytes.length);
    this.#buffer.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  /** ASCII of the code's own, or whatever a store or a receiver had. */
  text(field: number, value: string): void {
    const text = value.length > TEXT_MAX ? value.slice(0, TEXT_MAX) : value;
    const start = this.open(field, SHORT);
    this.#room(text.length * 3);
    if (text.length > LOOPED_MAX || !this.#ascii(text)) this.#at = start + this.#buffer.write(text, start, "utf8");
    this.close(start, SHORT);
  }

  /**
   * A `KeyValue` of `common.proto` with a text, when both are short ASCII: its lengths are known, so that it is written in one go.
   * False: nothing was written.
   */
  pair(field: number, key: string, value: string): boolean {
    const [keyLength, valueLength] = [key.length, value.length];
    if (field > 15 || keyLength > LOOPED_MAX || valueLength > LOOPED_MAX) return false;
    this.#room(256);
    const buffer = this.#buffer;
    let at = this.#at;
    const length = keyLength + valueLength + 6;
    buffer[at++] = field * 8 + LENGTH;
    if (length > 127) buffer[at++] = (length & 127) | 128;
    buffer[at++] = length > 127 ? length >>> 7 : length;
    buffer[at++] = 8 + LENGTH;
    buffer[at++] = keyLength;
    for (let place = 0; place < keyLength; place++) buffer[at++] = key.charCodeAt(place);
    buffer[at++] = 16 + LENGTH;
    buffer[at++] = valueLength + 2;
    buffer[at++] = 8 + LENGTH;
    buffer[at++] = valueLength;
    for (let place = 0; place < valueLength; place++) {
      const unit = value.charCodeAt(place);
      if (unit > 127) return false;
      buffer[at++] = unit;
    }
    this.#at = at;
    return true;
  }

  /** Lower-case digits, an even number of them, up to 64. */
  hex(field: number, digits: string): void {
    this.#room(48);
    this.#tag(field, LENGTH);
    const buffer = this.#buffer;
    let place = this.#at;
    buffer[place++] = digits.length / 2;
    for (let at = 0; at < digits.length; at += 2) {
      buffer[place++] = (digitOf(digits.charCodeAt(at)) << 4) | digitOf(digits.charCodeAt(at + 1));
    }
    this.#at = place;
  }

  /** Of at most 2^53, not negative. */
  whole(field: number, value: number): void {
    this.#room(16);
    this.#tag(field, VARINT);
    const buffer = this.#buffer;
    let place = this.#at;
    let left = value;
    while (left >= 128) {
      buffer[place++] = (left % 128) | 128;
      left = Math.floor(left / 128);
    }
    buffer[place++] = left;
    this.#at = place;
  }

  fixed32(field: number, value: number): void {
    this.#room(16);
    this.#tag(field, FIXED32);
    this.#word(value);
  }

  /** Epoch ms as nanoseconds, exact to a quarter of a microsecond. */
  time(field: number, ms: number): void {
    this.#room(16);
    this.#tag(field, FIXED64);
    const nanos = Math.round(ms * 1e6);
    const high = Math.floor(nanos / TWO_32);
    this.#word(nanos - high * TWO_32);
    this.#word(high);
  }

  double(field: number, value: number): void {
    this.#room(16);
    this.#tag(field, FIXED64);
    this.#at = this.#buffer.writeDoubleLE(value, this.#at);
  }

  /** False when there is more in it, and then nothing was written. */
  #ascii(text: string): boolean {
    const buffer = this.#buffer;
    const start = this.#at;
    for (let at = 0; at < text.length; at++) {
      const unit = text.charCodeAt(at);
      if (unit > 127) return false;
      buffer[start + at] = unit;
    }
    this.#at = start + text.length;
    return true;
  }

  /** 32 bits, the lowest first. */
  #word(value: number): void {
    const buffer = this.#buffer;
    const place = this.#at;
    buffer[place] = value;
    buffer[place + 1] = value >>> 8;
    buffer[place + 2] = value >>> 16;
    buffer[place + 3] = value >>> 24;
    this.#at = place + 4;
  }

  #tag(field: number, kind: number): void {
    const tag = field * 8 + kind;
    if (tag > 127) this.#buffer[this.#at++] = (tag & 127) | 128;
    this.#buffer[this.#at++] = tag > 127 ? tag >>> 7 : tag;
  }

  #room(bytes: number): void {
    if (this.#at + bytes + 32 <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe((this.#buffer.length + bytes) * 2);
    this.#buffer.copy(larger, 0, 0, this.#at);
    this.#buffer = larger;
  }
}

function digitOf(unit: number): number {
  return unit < 0x61 ? unit - 0x30 : unit - 0x57;
}
