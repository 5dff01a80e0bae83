/**
 * Happy Eyeballs (RFC 8305): of a host's addresses the first that connects wins. Families take turns, an attempt begins
 * 250 ms after the one before it or as soon as that has failed, and those that lost are closed.
 */
import type { Clock } from "../../lib/ambient.ts";
import { assert } from "../../lib/assert.ts";
import { onAbort } from "../../lib/on-abort.ts";
import { weightOf } from "./network-fault.ts";

/** RFC 8305 section 5, "Connection Attempt Delay". */
export const ATTEMPT_DELAY_MS = 250;
/** Of a host's addresses all are vetted; this many are dialled, so many attempts may be open at once. */
export const ADDRESSES_DIALLED_MAX = 16;

/** Rejects when it failed, and soon after its signal's abort; then nothing of it is open. */
export type Dial<Connection> = (address: string, signal: AbortSignal) => Promise<Connection>;

export interface Dialled<Connection> {
  readonly address: string;
  readonly connection: Connection;
}

export interface DialFirstDeps<Connection> {
  readonly clock: Clock;
  readonly dial: Dial<Connection>;
  /** Closes a connection that was made after another had won. */
  readonly close: (connection: Connection) => void;
}

/** Rejects with the signal's reason, or the last failure; with one of the receiver's if there was one. */
export function dialFirst<Connection>(
  { clock, dial, close }: DialFirstDeps<Connection>,
  addresses: readonly string[],
  signal: AbortSignal,
): Promise<Dialled<Connection>> {
  assert(addresses.length > 0, "a host that is dialled has an address");
  return new Promise((resolve, reject) => {
    const losing = new AbortController();
    let next = 0;
    let open = 0;
    let isOver = signal.aborted;
    let told: unknown = null;
    let cancelTimer = (): void => undefined;

    function end(): void {
      isOver = true;
      cancelTimer();
      cancelAbort();
      losing.abort(new Error("another address was reached first"));
    }
    function won(address: string, connection: Connection): void {
      open -= 1;
      if (isOver) return close(connection);
      end();
      resolve({ address, connection });
    }
    function failed(error: unknown): void {
      open -= 1;
      if (isOver) return;
      // What this machine lacks must not hide what the receiver said at another address.
      if (told === null || weightOf(error) >= weightOf(told)) told = error;
      if (next < addresses.length) return begin();
      if (open > 0) return;
      end();
      reject(told);
    }
    function begin(): void {
      cancelTimer();
      const address = addresses[next];
      if (isOver || address === undefined) return;
      next += 1;
      open += 1;
      if (next < addresses.length) cancelTimer = clock.timer(ATTEMPT_DELAY_MS, begin);
      dial(address, losing.signal).then((connection) => won(address, connection), failed);
    }
    const cancelAbort = onAbort(signal, () => {
      end();
      reject(signal.reason);
    });
    if (isOver) return reject(signal.reason);
    begin();
  });
}

/**
 * The addresses to dial, in order: `favourite` first if it is among them, then the families in turn, beginning with that of the first
 * (RFC 8305 section 4), `ADDRESSES_DIALLED_MAX` at most.
 */
export function dialOrder(addresses: readonly string[], favourite: string | undefined): readonly string[] {
  const isFirstV6 = addresses[0]?.includes(":") ?? false;
  const leading = addresses.filter((address) => address.includes(":") === isFirstV6);
  const others = addresses.filter((address) => address.includes(":") !== isFirstV6);
  const order: string[] = favourite !== undefined && addresses.includes(favourite) ? [favourite] : [];
  for (let index = 0; index < Math.max(leading.length, others.length); index++) {
    for (const address of [leading[index], others[index]]) {
      if (address !== undefined && !order.includes(address)) order.push(address);
    }
  }
  return order.slice(0, ADDRESSES_DIALLED_MAX);
}
