/**
 * From the host of a URL to the addresses that may be dialled. A host with one forbidden address is refused as a
 * whole: whoever mixes a public and a private address in one answer wants the private one to be dialled.
 */
import { lookup } from "node:dns/promises";

import type { Cidr } from "../../domain/address-guard.ts";
import { checkAddress, checkUrlHost } from "../../domain/address-guard.ts";
import { unreachable } from "../../lib/assert.ts";

/** All addresses (A and AAAA) of a name as literals, in the order to try; rejects when there is none. */
export type AddressResolver = (host: string, signal: AbortSignal) => Promise<readonly string[]>;

export type VettedHost =
  | { readonly kind: "allowed"; readonly addresses: readonly string[] }
  | { readonly kind: "forbidden"; readonly reason: string }
  | { readonly kind: "unresolved"; readonly reason: string };

/** The operating system's resolver, hosts file included, asked anew each time. */
export const systemResolver: AddressResolver = async (host) => {
  const answers = await lookup(host, { all: true, verbatim: true });
  return answers.map((answer) => answer.address);
};

/** The host as a name or a bare literal: no brackets, no trailing dot. */
export function bareHost(host: string): string {
  if (host.startsWith("[") && host.endsWith("]")) return host.slice(1, -1);
  return host.endsWith(".") ? host.slice(0, -1) : host;
}

export interface Guard {
  readonly allow: readonly Cidr[];
  readonly resolve: AddressResolver;
}

/**
 * Checks a literal as it stands; resolves a name and checks each of its addresses. Rejects only with the signal's
 * reason; the answer of a resolver that ignores the signal is dropped.
 */
export async function vetHost(host: string, guard: Guard, signal: AbortSignal): Promise<VettedHost> {
  signal.throwIfAborted();
  const verdict = checkUrlHost(host, guard.allow);
  switch (verdict.kind) {
    case "forbidden":
      return verdict;
    case "allowed":
      return { kind: "allowed", addresses: [bareHost(host)] };
    case "name":
      return vetName(verdict.name, guard, signal);
    default:
      return unreachable(verdict);
  }
}

async function vetName(name: string, { allow, resolve }: Guard, signal: AbortSignal): Promise<VettedHost> {
  let addresses: readonly string[];
  try {
    addresses = await untilAborted(resolve(name, signal), signal);
  } catch (error) {
    signal.throwIfAborted();
    return { kind: "unresolved", reason: `the name ${name} does not resolve (${codeOf(error)})` };
  }
  if (addresses.length === 0) return { kind: "unresolved", reason: `the name ${name} has no address` };
  for (const address of addresses) {
    const verdict = checkAddress(address, allow);
    if (verdict.kind === "forbidden") return { kind: "forbidden", reason: `${name} resolves to ${verdict.reason}` };
  }
  return { kind: "allowed", addresses };
}

/** The promise's end or the signal's abort, whichever is first. */
function untilAborted<Value>(promise: Promise<Value>, signal: AbortSignal): Promise<Value> {
  return new Promise((resolve, reject) => {
    const leave = (): void => reject(signal.reason);
    signal.addEventListener("abort", leave, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", leave));
  });
}

function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" ? code : "no answer";
}
