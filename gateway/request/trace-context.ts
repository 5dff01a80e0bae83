/** `traceparent` as W3C Trace Context level 2 writes it, version 00. What is not valid is ignored, never an error. */

const shape = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;

/** The field as it came, or null. Later versions are not understood and so not carried. */
export function traceparentOf(headers: Headers): string | null {
  const value = headers.get("traceparent");
  return value !== null && shape.test(value) ? value : null;
}

export function traceIdOf(traceparent: string | null): string | null {
  return traceparent === null ? null : traceparent.slice(3, 35);
}
