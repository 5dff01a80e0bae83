/**
 * The signing keys of every endpoint whose URL is at a given loopback port, straight from the directory of the same
 * process: `dev`'s receiver knows each endpoint made at it. Read again after any change of an endpoint.
 */
import type { Endpoint } from "@posthaste/shared/domain/endpoint.ts";
import { signingKeys } from "@posthaste/shared/domain/message.ts";
import type { Clock } from "@posthaste/shared/lib/ambient.ts";
import type { Directory } from "@posthaste/shared/ports/directory.ts";
import type { Drivers } from "@posthaste/shared/ports/drivers.ts";

export type KeysFor = (port: number, pathAndQuery: string) => Promise<readonly Uint8Array[]>;

const PAGE = 1000;

export function createKeysFor(drivers: Pick<Drivers, "directory" | "notifier">, clock: Clock): KeysFor {
  let known: Promise<readonly Endpoint[]> | null = null;
  drivers.notifier.subscribe(() => {
    known = null;
  });
  return async (port, pathAndQuery) => {
    known ??= allEndpoints(drivers.directory);
    const here = (await known).filter(({ url }) => isAt(url, port, pathAndQuery));
    return here.flatMap((endpoint) => signingKeys(endpoint, clock.now()));
  };
}

function isAt(text: string, port: number, pathAndQuery: string): boolean {
  const url = new URL(text);
  return url.port === String(port) && url.pathname + url.search === pathAndQuery;
}

async function allEndpoints(directory: Directory): Promise<readonly Endpoint[]> {
  const found: Endpoint[] = [];
  let cursor: string | null = null;
  do {
    const page: Awaited<ReturnType<Directory["list"]>> = await directory.list({ tenant: null }, PAGE, cursor);
    found.push(...page.rows);
    cursor = page.next;
  } while (cursor !== null);
  return found;
}
