/**
 * Numbers and texts of Kafka's protocol in bytes: big-endian, a string behind its length, and in records numbers of variable length,
 * zigzag and seven bits a byte (kafka.apache.org/protocol, "Protocol Primitive Types"). All numbers are whole and within 2^53.
 */
const TWO_32 = 2 ** 32;
/** Bytes of a number of variable length at the most. */
export const VARINT_BYTES_MAX = 8;

/** Into bytes that have room for all that comes. */
export class ByteWriter {
  readonly bytes: Buffer;
  at = 0;

  constructor(bytesMax: number) {
    this.bytes = Buffer.allocUnsafe(bytesMax);
  }

  int8(value: number): void {
    this.bytes[this.at++] = value;
  }

  int16(value: number): void {
    this.at = this.bytes.writeInt16BE(value, this.at);
  }

  int32(value: number): void {
    this.at = this.bytes.writeInt32BE(value, this.at);
  }

  int64(value: number): void {
    this.at = this.bytes.writeInt32BE(Math.floor(value / TWO_32), this.at);
    this.at = this.bytes.writeUInt32BE(value >>> 0, this.at);
  }

  varint(value: number): void {
    let rest = zigzag(value);
    while (rest >= 0x80) {
      this.bytes[this.at++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.bytes[this.at++] = rest;
  }

  raw(bytes: Uint8Array): void {
    this.bytes.set(bytes, this.at);
    this.at += bytes.length;
  }

  /** Its UTF-8, without a length. Most are short and ASCII, and written here in a fraction of the runtime's own time. */
  text(text: string): void {
    const { bytes } = this;
    let { at } = this;
    for (let index = 0; index < text.length; index++) {
      const unit = text.charCodeAt(index);
      if (unit >= 0x80) {
        this.at += bytes.write(text, this.at);
        return;
      }
      bytes[at++] = unit;
    }
    this.at = at;
  }

  string(text: string): void {
    this.int16(textBytes(text));
    this.text(text);
  }

  written(): Buffer {
    return this.bytes.subarray(0, this.at);
  }
}

export function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = zigzag(value); rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes++;
  return bytes;
}

/** Of its UTF-8. */
export function textBytes(text: string): number {
  for (let index = 0; index < text.length; index++) {
    if (text.charCodeAt(index) >= 0x80) return Buffer.byteLength(text);
  }
  return text.length;
}

function zigzag(value: number): number {
  return value >= 0 ? value * 2 : -value * 2 - 1;
}
