/**
 * From the host of a URL to the addresses that may be dialled. A host with one forbidden address is refused as a
 * whole: whoever mixes a public and a private address in one answer wants the private one to be dialled. No reason
 * given here names an address that a name stands for: reasons are read by tenants, and would map the operator's network.
 */
import type { Cidr } from "../../domain/address-guard.ts";
import { checkAddress, checkUrlHost } from "../../domain/address-guard.ts";
import { unreachable } from "../../lib/assert.ts";

/** What a name stands for. */
export type Resolution =
  /** Addresses (A and AAAA) as literals, in the order to try, and for how long they hold. */
  | { readonly kind: "found"; readonly addresses: readonly string[]; readonly ttlMs: number }
  /** A name server said that there is no such name, or that it has no address. */
  | { readonly kind: "none"; readonly reason: string }
  /** No name server gave an answer that tells. That says nothing of the receiver. */
  | { readonly kind: "unanswered"; readonly reason: string };

/** Asks anew each time. Never rejects; ends soon after the signal's abort. */
export type AddressResolver = (name: string, signal: AbortSignal) => Promise<Resolution>;

export type VettedHost =
  | { readonly kind: "allowed"; readonly addresses: readonly string[] }
  | { readonly kind: "forbidden"; readonly reason: string }
  | { readonly kind: "unresolved"; readonly reason: string }
  | { readonly kind: "unanswered"; readonly reason: string };

/** The host as a name or a bare literal: no brackets, no trailing dot. */
export function bareHost(host: string): string {
  if (host.startsWith("[") && host.endsWith("]")) return host.slice(1, -1);
  return host.endsWith(".") ? host.slice(0, -1) : host;
}

/**
 * Checks a literal as it stands; has a name resolved by `find` and checks each of its addresses. Rejects only with the
 * signal's reason.
 */
export async function vetHost(
  host: string,
  allow: readonly Cidr[],
  find: AddressResolver,
  signal: AbortSignal,
): Promise<VettedHost> {
  signal.throwIfAborted();
  const verdict = checkUrlHost(host, allow);
  switch (verdict.kind) {
    case "forbidden":
      return verdict;
    case "allowed":
      return { kind: "allowed", addresses: [bareHost(host)] };
    case "name":
      return vetResolution(verdict.name, await find(verdict.name, signal), allow);
    default:
      return unreachable(verdict);
  }
}

function vetResolution(name: string, resolution: Resolution, allow: readonly Cidr[]): VettedHost {
  switch (resolution.kind) {
    case "found": {
      const { addresses } = resolution;
      const isAllowed = addresses.every((address) => checkAddress(address, allow).kind === "allowed");
      return isAllowed ? { kind: "allowed", addresses } : { kind: "forbidden", reason: forbiddenName(name) };
    }
    case "none":
      return { kind: "unresolved", reason: resolution.reason };
    case "unanswered":
      return resolution;
    default:
      return unreachable(resolution);
  }
}

/** The same words for every class of address. */
export function forbiddenName(name: string): string {
  return `the host ${name} is not allowed: it resolves to an address that deliveries must not reach`;
}
