/**
 * The time of day in ms with its fractions, the same in each process of the machine. `performance.timeOrigin` is not: those of two
 * processes of Bun 1.4.5 lie up to a millisecond apart.
 */
const LOOKS = 8;
const originMs = measuredOrigin();

export function wallMs(): number {
  return originMs + performance.now();
}

/** Looked at several times, as a process that is held up between two looks sees it late. */
function measuredOrigin(): number {
  return Math.max(...Array.from({ length: LOOKS }, originSeen));
}

/** Waits for the next whole millisecond of the time of day. */
function originSeen(): number {
  const beganAtMs = Date.now();
  for (;;) {
    const atMs = Date.now();
    if (atMs !== beganAtMs) return atMs - performance.now();
  }
}
