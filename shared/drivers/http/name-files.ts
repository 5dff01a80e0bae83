/**
 * The operating system's own files on names: hosts(5), and the search list of resolv.conf(5). The name servers
 * themselves c-ares reads for itself. Windows has a hosts file elsewhere and no resolv.conf.
 */
import { readFile, stat } from "node:fs/promises";

import { parseAddress } from "../../domain/address-guard.ts";

export const NAME_FILE_PATHS =
  process.platform === "win32"
    ? { hosts: "C:\\Windows\\System32\\drivers\\etc\\hosts", resolvConf: null }
    : { hosts: "/etc/hosts", resolvConf: "/etc/resolv.conf" };

export interface NameFilePaths {
  readonly hosts: string | null;
  readonly resolvConf: string | null;
}

export interface NameFiles {
  /** What the hosts file, or RFC 6761 for `localhost`, says; empty when neither knows the name. */
  addressesOf(name: string): Promise<readonly string[]>;
  /** The full names to ask for, in order. */
  fullNamesOf(name: string): Promise<readonly string[]>;
}

/** A larger file is taken for empty. */
export const NAME_FILE_BYTES_MAX = 8 * 1024 * 1024;
/** Domains of a search list that are tried; so many does glibc take. */
export const SEARCH_MAX = 6;

/** RFC 6761 section 6.3: never asked of a name server. */
const LOOPBACK = ["::1", "127.0.0.1"];

export function openNameFiles(paths: NameFilePaths): NameFiles {
  const hosts = watchFile(paths.hosts, parseHosts);
  const search = watchFile(paths.resolvConf, parseSearch);
  return {
    async addressesOf(name) {
      const lower = name.toLowerCase();
      const known = (await hosts()).get(lower);
      if (known !== undefined) return known;
      return lower === "localhost" || lower.endsWith(".localhost") ? LOOPBACK : [];
    },
    async fullNamesOf(name) {
      const longer = (await search()).map((domain) => `${name}.${domain}`);
      // A receiver's name has dots; it must not wait for the search list, and no inner name may come before it.
      return name.includes(".") ? [name, ...longer] : [...longer, name];
    },
  };
}

/** Reads the file again when it has changed. A file that cannot be read is empty. */
function watchFile<Parsed>(path: string | null, parse: (text: string) => Parsed): () => Promise<Parsed> {
  let last = { stamp: "", parsed: parse("") };
  return async () => {
    if (path === null) return last.parsed;
    try {
      const { mtimeMs, size, ino } = await stat(path);
      const stamp = `${mtimeMs} ${size} ${ino}`;
      if (stamp === last.stamp) return last.parsed;
      last = { stamp, parsed: parse(size > NAME_FILE_BYTES_MAX ? "" : await readFile(path, "utf8")) };
    } catch {
      last = { stamp: "", parsed: parse("") };
    }
    return last.parsed;
  };
}

/** Names in lower case, with all their addresses in the order of the file. */
function parseHosts(text: string): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>();
  for (const [address = "", ...names] of fieldsOf(text)) {
    if (parseAddress(address) === null) continue;
    for (const name of names) {
      const addresses = found.get(name.toLowerCase());
      if (addresses === undefined) found.set(name.toLowerCase(), [address]);
      else if (!addresses.includes(address)) addresses.push(address);
    }
  }
  return found;
}

/** The last `search` or `domain` line counts. */
function parseSearch(text: string): readonly string[] {
  const line = fieldsOf(text).findLast(([word]) => word === "search" || word === "domain");
  return (line ?? [])
    .slice(1, 1 + SEARCH_MAX)
    .map((domain) => domain.replace(/\.$/, ""))
    .filter((domain) => domain !== "");
}

/** The words of each line without its comment. */
function fieldsOf(text: string): string[][] {
  return text.split("\n").map((line) => (line.split(/[#;]/)[0] ?? "").trim().split(/\s+/));
}
