/** Where an endpoint's URL may lead, as far as can be told without name servers: a literal address, and names that are local. */
import type { Cidr } from "../../domain/address-guard.ts";
import { checkUrlHost } from "../../domain/address-guard.ts";
import type { Transport } from "../../ports/transport.ts";

/** Names are vetted by the processors before each attempt, as they are everywhere. */
export function vetAtEdge(allow: readonly Cidr[]): Transport["vet"] {
  return (url) => {
    const verdict = checkUrlHost(new URL(url).hostname, allow);
    if (verdict.kind !== "name") return Promise.resolve(verdict);
    return Promise.resolve({ kind: "unresolved", reason: "names are not looked up at the edge" });
  };
}
