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

  /** It is written to, and a larger one in its place when it is full. */
  constructor(storage: Buffer) {
    this.#buffer = storage;
  }

  get storage(): Buffer {
    return this.#buffer;
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
   * A `KeyValue` of `common.proto` with a short ASCII text or a whole number below 2^21: its lengths are known, so that it is written in
   * one go. False: nothing was written.
   */
  pair(field: number, key: string, value: string | number | boolean): boolean {
    const keyLength = key.length;
    if (field > 15 || keyLength > LOOPED_MAX) return false;
    const valueLength = typeof value === "string" ? value.length : typeof value === "number" ? varintLength(value) : 0;
    if (valueLength > LOOPED_MAX || (valueLength === 0 && value !== "")) return false;
    this.#room(256);
    const buffer = this.#buffer;
    let at = this.#at;
    const anyLength = typeof value === "string" ? valueLength + 2 : valueLength + 1;
    const length = keyLength + anyLength + 4;
    buffer[at++] = field * 8 + LENGTH;
    if (length > 127) buffer[at++] = (length & 127) | 128;
    buffer[at++] = length > 127 ? length >>> 7 : length;
    buffer[at++] = 8 + LENGTH;
    buffer[at++] = keyLength;
    for (let place = 0; place < keyLength; place++) buffer[at++] = key.charCodeAt(place);
    buffer[at++] = 16 + LENGTH;
    buffer[at++] = anyLength;
    if (typeof value === "string") {
      buffer[at++] = 8 + LENGTH;
      buffer[at++] = valueLength;
      for (let place = 0; place < valueLength; place++) {
        const unit = value.charCodeAt(place);
        if (unit > 127) return false;
        buffer[at++] = unit;
      }
    } else {
      buffer[at++] = 24 + VARINT;
      let left = Number(value);
      for (; left > 127; left >>>= 7) buffer[at++] = (left & 127) | 128;
      buffer[at++] = left;
    }
    this.#at = at;
    return true;
  }

  /** 64 bits as bytes, of two words, the highest first. */
  bytes8(field: number, high: number, low: number): void {
    this.#room(16);
    this.#tag(field, LENGTH);
    this.#buffer[this.#at++] = 8;
    this.#wordOfId(high);
    this.#wordOfId(low);
  }

  /** 128 bits as bytes. */
  bytes16(field: number, first: number, second: number, third: number, fourth: number): void {
    this.#room(32);
    this.#tag(field, LENGTH);
    this.#buffer[this.#at++] = 16;
    this.#wordOfId(first);
    this.#wordOfId(second);
    this.#wordOfId(third);
    this.#wordOfId(fourth);
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

  /** 32 bits, the highest first. */
  #wordOfId(value: number): void {
    const buffer = this.#buffer;
    const place = this.#at;
    buffer[place] = value >>> 24;
    buffer[place + 1] = value >>> 16;
    buffer[place + 2] = value >>> 8;
    buffer[place + 3] = value;
    this.#at = place + 4;
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
    const larger = Buffer.allocUnsafeSlow((this.#buffer.length + bytes) * 2);
    this.#buffer.copy(larger, 0, 0, this.#at);
    this.#buffer = larger;
  }
}

/** Up to 3; 0 for what is longer, negative or no whole number. */
function varintLength(value: number): number {
  if ((value & 0x1fffff) !== value) return 0;
  return value < 128 ? 1 : value < 16_384 ? 2 : 3;
}
