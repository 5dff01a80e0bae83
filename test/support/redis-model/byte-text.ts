/** Bytes as text, one character of 0 to 255 for each: such text compares, as JavaScript does it, in the order of bytes. */
export function byteText(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
}

export function bytesOf(text: string): Uint8Array {
  const bytes = Buffer.from(text, "latin1");
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export function byteTextOfUtf8(text: string): string {
  return Buffer.from(text, "utf8").toString("latin1");
}

export function utf8Of(text: string): string {
  return Buffer.from(text, "latin1").toString("utf8");
}
