/** `traceparent` of W3C Trace Context level 2, version 00. An invalid one is ignored; it is never an error. */

const shape = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;

/** The field unchanged, or null. Later versions are not known here and so not passed on. */
export function traceparentOf(headers: Headers): string | null {
  const value = headers.get("traceparent");
  return value !== null && shape.test(value) ? value : null;
}

export function traceIdOf(traceparent: string | null): string | null {
  return traceparent === null ? null : traceparent.slice(3, 35);
}
