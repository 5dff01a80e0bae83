/**
 * Which families of addresses this machine has. `connect(2)` says EADDRNOTAVAIL both when its ports are used up and when it
 * has no address of the receiver's family to call from: the first passes, the second says where the receiver cannot be
 * reached from.
 */
import { isIPv6 } from "node:net";
import { networkInterfaces } from "node:os";

export type Interfaces = ReturnType<typeof networkInterfaces>;

/** Has no interface an address from which this one could be called? Link-local addresses reach no other network. */
export function lacksFamilyOf(address: string, interfaces: Interfaces = networkInterfaces()): boolean {
  const family = isIPv6(address) ? "IPv6" : "IPv4";
  const isLocal = address === "::1" || address.startsWith("127.");
  const own = Object.values(interfaces).flatMap((infos) => infos ?? []);
  return !own.some((info) => info.family === family && (isLocal || (!info.internal && !isLinkLocal(info.address))));
}

function isLinkLocal(address: string): boolean {
  return /^fe[89ab]/i.test(address) || address.startsWith("169.254.");
}
