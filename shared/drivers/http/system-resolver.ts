/**
 * Names as the operating system sees them, by its files first and its name servers then. It asks over c-ares
 * (`node:dns` Resolver) and not by `lookup`, which is getaddrinfo in the runtime's thread pool: on two cores two silent
 * zones stop every look-up there, and nothing can end one. What getaddrinfo knows besides, by modules of
 * nsswitch.conf (mDNS, NIS), is not asked.
 */
import { Resolver } from "node:dns/promises";

import type { Clock } from "../../lib/ambient.ts";
import { inTime } from "../../lib/in-time.ts";
import { onAbort } from "../../lib/on-abort.ts";
import type { NameFilePaths } from "./name-files.ts";
import { NAME_FILE_PATHS, openNameFiles } from "./name-files.ts";
import type { AddressResolver, Resolution } from "./resolver.ts";

/** One question to one server; c-ares doubles it for the second try. */
export const QUESTION_MS = 1500;
export const TRIES = 2;
/** All questions of a look-up together: somewhat less than a look-up may take, so that half an answer is still used. */
export const QUESTIONS_MS_MAX = 4500;
/** RFC 8305 section 3: so long the IPv6 addresses may come behind the IPv4 ones. */
export const RESOLUTION_DELAY_MS = 50;
/** For what the hosts file says. */
const FILE_TTL_MS = 5000;

export interface SystemResolverOptions {
  readonly clock: Clock;
  /** `address` or `address:port` of each; those of the operating system when left out or null. */
  readonly nameServers?: readonly string[] | null;
  readonly files?: NameFilePaths;
}

export function createSystemResolver(options: SystemResolverOptions): AddressResolver {
  const { clock, nameServers = null } = options;
  const files = openNameFiles(options.files ?? NAME_FILE_PATHS);
  return async (name, signal) => {
    const known = await files.addressesOf(name);
    if (known.length > 0) return { kind: "found", addresses: known, ttlMs: FILE_TTL_MS };
    using deadline = clock.deadline(QUESTIONS_MS_MAX, signal);
    let answer: Resolution = { kind: "unanswered", reason: `the look-up of ${name} was broken off` };
    for (const fullName of await files.fullNamesOf(name)) {
      if (deadline.signal.aborted) return answer;
      answer = named(name, await askBoth(fullName, nameServers, clock, deadline.signal));
      if (answer.kind !== "none") return answer;
    }
    return answer;
  };
}

type Records =
  | { readonly kind: "found"; readonly addresses: readonly string[]; readonly ttlMs: number }
  | { readonly kind: "none" | "unanswered"; readonly code: string };

/** A resolver for each look-up: its cancel ends no other, and a changed list of name servers is seen. */
async function askBoth(
  name: string,
  nameServers: readonly string[] | null,
  clock: Clock,
  signal: AbortSignal,
): Promise<Records> {
  const resolver = new Resolver({ timeout: QUESTION_MS, tries: TRIES });
  if (nameServers !== null) resolver.setServers(nameServers);
  const cancel = onAbort(signal, () => resolver.cancel());
  try {
    const v6 = recordsOf(resolver.resolve6(name, { ttl: true }));
    const v4 = await recordsOf(resolver.resolve4(name, { ttl: true }));
    if (v4.kind !== "found") return joinRecords(v4, await v6);
    const late = await inTime(clock, RESOLUTION_DELAY_MS, v6);
    return late.kind === "done" ? joinRecords(v4, late.value) : v4;
  } finally {
    cancel();
    resolver.cancel();
  }
}

async function recordsOf(asked: Promise<readonly { address: string; ttl: number }[]>): Promise<Records> {
  try {
    const records = await asked;
    if (records.length === 0) return { kind: "none", code: "ENODATA" };
    const ttlMs = 1000 * Math.min(...records.map(({ ttl }) => ttl));
    return { kind: "found", addresses: records.map(({ address }) => address), ttlMs };
  } catch (error) {
    const { code } = error as { readonly code?: unknown };
    if (code === "ENOTFOUND" || code === "ENODATA") return { kind: "none", code };
    return { kind: "unanswered", code: typeof code === "string" ? code : "no answer" };
  }
}

/** IPv6 first (RFC 6724). That a name has no address is known only when both families were answered. */
function joinRecords(v4: Records, v6: Records): Records {
  if (v4.kind === "found" && v6.kind === "found") {
    return { kind: "found", addresses: [...v6.addresses, ...v4.addresses], ttlMs: Math.min(v4.ttlMs, v6.ttlMs) };
  }
  if (v4.kind === "found") return v4;
  if (v6.kind === "found") return v6;
  return v4.kind === "unanswered" ? v4 : v6;
}

/** The reason with the name as the endpoint's owner wrote it; the search list is the operator's. */
function named(name: string, records: Records): Resolution {
  switch (records.kind) {
    case "found":
      return records;
    case "none":
      // Bun says ENOTFOUND where Node says ENODATA: no address, but a name.
      return { kind: "none", reason: `the name ${name} does not resolve (${records.code})` };
    case "unanswered":
      return { kind: "unanswered", reason: `no name server gave an answer for ${name} (${records.code})` };
  }
}
