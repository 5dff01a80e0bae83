/** Whether a URL's host may be delivered to, without a client to send with: for a transport, and for gateways, which send nothing. */
import type { Cidr } from "../../domain/address-guard.ts";
import type { Clock } from "../../lib/ambient.ts";
import { unreachable } from "../../lib/assert.ts";
import type { Transport, Vetting } from "../../ports/transport.ts";
import type { LookUps } from "./look-ups.ts";
import { createLookUps } from "./look-ups.ts";
import type { AddressResolver } from "./resolver.ts";
import { vetHost } from "./resolver.ts";
import { createSystemResolver } from "./system-resolver.ts";
import { createTargetParser } from "./target.ts";

/** Time for `vet`. */
export const VET_MS_MAX = 5000;

export interface VetterOptions {
  readonly clock: Clock;
  /** Forbidden ranges that are allowed all the same; empty in ordinary service. */
  readonly allow: readonly Cidr[];
  /** The system's resolver when left out. */
  readonly resolve?: AddressResolver;
  /** Those of the operating system when left out or null. */
  readonly nameServers?: readonly string[] | null;
  /** A name was asked for; told whether its addresses were known. Must not throw. */
  readonly onLookUp?: (isKnown: boolean) => void;
}

export interface Vetter extends Pick<Transport, "vet">, AsyncDisposable {}

/** Disposing ends look-ups that are under way. */
export function openVetter(options: VetterOptions): Vetter {
  const closing = new AbortController();
  return {
    vet: createVet(options, lookUpsOf(options, closing.signal)),
    [Symbol.asyncDispose]() {
      closing.abort(new Error("the gateway is stopping"));
      return Promise.resolve();
    },
  };
}

/** Look-ups that end with `closing`. */
export function lookUpsOf(options: VetterOptions, closing: AbortSignal): LookUps {
  const { clock } = options;
  const resolve = options.resolve ?? createSystemResolver({ clock, nameServers: options.nameServers ?? null });
  return createLookUps({ clock, resolve, closing, onLookUp: options.onLookUp ?? (() => undefined) });
}

export function createVet({ clock, allow }: VetterOptions, lookUps: LookUps): Transport["vet"] {
  const parseTarget = createTargetParser();
  return async (url, tenant, signal): Promise<Vetting> => {
    const target = parseTarget(url);
    if (target === null) return { kind: "unresolved", reason: "the URL is not an http or https URL" };
    using deadline = clock.deadline(VET_MS_MAX, signal);
    try {
      const find: AddressResolver = (name) => lookUps.find(name, tenant, deadline.signal);
      const vetted = await vetHost(target.hostname, allow, find, deadline.signal);
      switch (vetted.kind) {
        case "allowed":
          return { kind: "allowed" };
        case "forbidden":
          return vetted;
        case "unresolved":
        case "unanswered":
          return { kind: "unresolved", reason: vetted.reason };
        default:
          return unreachable(vetted);
      }
    } catch {
      return { kind: "unresolved", reason: `the name ${target.hostname} was not resolved in time` };
    }
  };
}
