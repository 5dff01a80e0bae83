/** What the client takes from its surroundings, as arguments: the network, time and chance; and WebCrypto. */

export interface Surroundings {
  /** The web's `fetch`, as far as it is used. */
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>;
  readonly clock: Clock;
  /** Evenly from 0 to less than 1: spreads the waits between tries. */
  readonly random: () => number;
  /** A new key for each publish that is given none; 1 to 255 visible ASCII characters that nobody else chooses. */
  readonly newIdempotencyKey: () => string;
}

export interface Clock {
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Milliseconds that only go forward, from any start. */
  readonly monotonic: () => number;
  /** Calls back once after `ms`, unless the function given back is called before. */
  readonly timer: (ms: number, callback: () => void) => () => void;
}

/** Those of the runtime: Bun, Node and Deno have all of them as globals. */
export const runtimeSurroundings: Surroundings = {
  fetch: (url, init) => fetch(url, init),
  clock: {
    now: () => Date.now(),
    monotonic: () => performance.now(),
    timer: (ms, callback) => {
      const timeout = setTimeout(callback, ms);
      return () => clearTimeout(timeout);
    },
  },
  random: () => Math.random(),
  newIdempotencyKey: () => crypto.randomUUID(),
};

export async function hmacSha256(
  key: Uint8Array<ArrayBuffer>,
  message: Uint8Array<ArrayBuffer>,
): Promise<Uint8Array<ArrayBuffer>> {
  const { subtle } = crypto;
  const imported = await subtle.importKey("raw", key, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  return new Uint8Array(await subtle.sign("HMAC", imported, message));
}
