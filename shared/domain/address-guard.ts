/**
 * Says which addresses a delivery may reach, so that an endpoint's URL never becomes a door into the operator's own network.
 * Ask it twice: with the URL's host when an endpoint is made, and with the very address about to be dialled at each attempt.
 * IPv4 is open but for the blocks named here; IPv6 is closed but for 2000::/3, and that too has named blocks.
 * Sources: IANA special-purpose address registries (RFC 6890), OWASP SSRF prevention cheat sheet, RFC 6052 for NAT64.
 */

import { assert } from "../lib/assert.ts";

/** An IPv4 address as 4 bytes or an IPv6 address as 16, in network order. */
export type Address = Uint8Array;

/** A block of addresses; bits of `base` behind the first `prefixBits` are zero. */
export interface Cidr {
  readonly base: Address;
  readonly prefixBits: number;
}

export type AddressVerdict =
  | { readonly kind: "allowed" }
  /** `reason` is a sentence without its full stop: "10.0.0.1 is a private address (10.0.0.0/8)". */
  | { readonly kind: "forbidden"; readonly reason: string };

/** A host that is no address has to be resolved first; each address found is then checked by `checkAddress`. */
export type HostVerdict = AddressVerdict | { readonly kind: "name"; readonly name: string };

interface SpecialBlock {
  readonly cidr: Cidr;
  readonly text: string;
  /** Reads behind "is": "a private address". */
  readonly what: string;
}

/** RFC 1035 section 2.3.4: the longest name, without the last dot. */
const NAME_LENGTH_MAX = 253;
const HOST_NAME = /^[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*$/;
/** WHATWG URL, "ends in a number": what a resolver may take for an address in hexadecimal, octal or with fewer dots. */
const ENDS_IN_NUMBER = /(?:^|\.)(?:[0-9]+|0[xX][0-9A-Fa-f]*)$/;
const OCTET = /^(?:0|[1-9][0-9]{0,2})$/;
const GROUP = /^[0-9A-Fa-f]{1,4}$/;
const PREFIX_BITS = /^(?:0|[1-9][0-9]{0,2})$/;
/** Eight groups of which the last two are dotted decimal: the longest form of RFC 4291 section 2.2. */
const ADDRESS_LENGTH_MAX = 45;

/** RFC 4291 section 2.5.5.2, ::ffff:0:0/96; in bytes, for `parseCidr` reads the text form as an IPv4 block. */
const MAPPED: Cidr = { base: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 0, 0, 0, 0), prefixBits: 96 };
const ALLOWED: AddressVerdict = { kind: "allowed" };

/** The narrower block comes first where one lies within another, so that the reason names it. */
const SPECIAL_V4 = blocks([
  ["0.0.0.0/8", "an address of this very network"],
  ["10.0.0.0/8", "a private address"],
  ["100.64.0.0/10", "a shared carrier address"],
  ["127.0.0.0/8", "a loopback address"],
  ["168.63.129.16/32", "the host agent of a cloud provider"],
  ["169.254.0.0/16", "a link-local address"],
  ["172.16.0.0/12", "a private address"],
  ["192.0.0.0/24", "a protocol assignment address"],
  ["192.0.2.0/24", "a documentation address"],
  ["192.31.196.0/24", "an AS112 anycast address"],
  ["192.52.193.0/24", "a multicast tunnel address"],
  ["192.88.99.0/24", "a 6to4 relay address"],
  ["192.168.0.0/16", "a private address"],
  ["192.175.48.0/24", "an AS112 anycast address"],
  ["198.18.0.0/15", "a benchmarking address"],
  ["198.51.100.0/24", "a documentation address"],
  ["203.0.113.0/24", "a documentation address"],
  ["224.0.0.0/4", "a multicast address"],
  ["255.255.255.255/32", "the broadcast address"],
  ["240.0.0.0/4", "a reserved address"],
]);

/** As above. All that lies outside 2000::/3 is refused anyway; such blocks stand here for the sake of a better reason. */
const SPECIAL_V6 = blocks([
  ["::/128", "the unspecified address"],
  ["::1/128", "a loopback address"],
  ["::/96", "an IPv4-compatible address"],
  ["::ffff:0:0:0/96", "an IPv4-translated address"],
  ["64:ff9b:1::/48", "a local NAT64 address"],
  ["100::/64", "a discard address"],
  ["100:0:0:1::/64", "a dummy prefix address"],
  ["2001::/32", "a Teredo address"],
  ["2001:2::/48", "a benchmarking address"],
  ["2001:10::/28", "an ORCHID address"],
  ["2001:20::/28", "an ORCHIDv2 address"],
  ["2001:30::/28", "a drone remote identification address"],
  ["2001::/23", "a protocol assignment address"],
  ["2001:db8::/32", "a documentation address"],
  ["2002::/16", "a 6to4 address"],
  ["2620:4f:8000::/48", "an AS112 anycast address"],
  ["3fff::/20", "a documentation address"],
  ["5f00::/16", "a segment routing address"],
  ["fc00::/7", "a unique local address"],
  ["fe80::/10", "a link-local address"],
  ["fec0::/10", "a site-local address"],
  ["ff00::/8", "a multicast address"],
]);

const GLOBAL_UNICAST = parseCidr("2000::/3");
/** RFC 6052 section 2.1: the last 32 bits are an IPv4 address. */
const NAT64 = parseCidr("64:ff9b::/96");

/**
 * Reads dotted decimal (four numbers, no leading zeros) and each form of RFC 4291 section 2.2. Null for anything else: zone ids,
 * brackets, and the octal, hexadecimal and short forms that a WHATWG URL has already turned into dotted decimal.
 */
export function parseAddress(text: string): Address | null {
  if (text.length > ADDRESS_LENGTH_MAX) return null;
  return text.includes(":") ? parseV6(text) : parseV4(text);
}

/**
 * Reads a comma-separated list of blocks; white space around an item is dropped, an empty text is an empty list, and an
 * address alone is a block of one. A block within ::ffff:0:0/96 is kept as the IPv4 block it stands for.
 * Throws an Error that names the first bad item; bits set behind the prefix are an error too, for they are mostly a slip.
 */
export function parseCidrs(text: string): readonly Cidr[] {
  if (text.trim() === "") return [];
  return text.split(",").map((item) => parseCidr(item.trim()));
}

/**
 * Judges one address, be it resolved or from a URL. The allow-list wins over every table. A mapped or NAT64 address is judged
 * as the IPv4 address within, by the tables and by the IPv4 entries of the allow-list; under DNS64 each public IPv4 host
 * resolves to a NAT64 address. What is no address is forbidden.
 */
export function checkAddress(address: string, allow: readonly Cidr[]): AddressVerdict {
  const parsed = parseAddress(address);
  if (parsed === null) return forbidden(`${quote(address)} is not an IP address`);
  if (isInAny(parsed, allow)) return ALLOWED;
  if (parsed.length === 4) return judgeV4(parsed, `${address} is`);
  if (!isIn(parsed, MAPPED) && !isIn(parsed, NAT64)) return judgeV6(parsed, address);
  const within = parsed.subarray(12);
  if (isInAny(within, allow)) return ALLOWED;
  return judgeV4(within, `${address} stands for ${within.join(".")}, which is`);
}

/**
 * Judges the `hostname` of a WHATWG URL: an address, in brackets if IPv6, is checked at once; a name is given back without its
 * last dots for resolving. A text that is neither is forbidden, above all one that a resolver could take for an address.
 */
export function checkUrlHost(hostname: string, allow: readonly Cidr[]): HostVerdict {
  const name = hostname.replace(/\.{1,3}$/, "");
  const host = name.startsWith("[") && name.endsWith("]") ? name.slice(1, -1) : name;
  if (host.includes(":") || parseAddress(name) !== null) return checkAddress(host, allow);
  if (name.length > NAME_LENGTH_MAX || !HOST_NAME.test(name) || ENDS_IN_NUMBER.test(name)) {
    return forbidden(`${quote(hostname)} is neither a host name nor an IP address`);
  }
  return { kind: "name", name };
}

function judgeV4(address: Address, subject: string): AddressVerdict {
  const block = SPECIAL_V4.find(({ cidr }) => isIn(address, cidr));
  return block === undefined ? ALLOWED : forbidden(`${subject} ${block.what} (${block.text})`);
}

function judgeV6(address: Address, text: string): AddressVerdict {
  const block = SPECIAL_V6.find(({ cidr }) => isIn(address, cidr));
  if (block !== undefined) return forbidden(`${text} is ${block.what} (${block.text})`);
  if (isIn(address, GLOBAL_UNICAST)) return ALLOWED;
  return forbidden(`${text} is not a global unicast address (outside 2000::/3)`);
}

function isInAny(address: Address, cidrs: readonly Cidr[]): boolean {
  return cidrs.some((cidr) => isIn(address, cidr));
}

/** Blocks and addresses of different families never meet. */
function isIn(address: Address, { base, prefixBits }: Cidr): boolean {
  if (address.length !== base.length) return false;
  for (let index = 0, bits = prefixBits; bits > 0; index++, bits -= 8) {
    const [ours, theirs] = [address[index], base[index]];
    assert(ours !== undefined && theirs !== undefined, "a prefix is no longer than its address");
    if ((ours ^ theirs) >> Math.max(0, 8 - bits) !== 0) return false;
  }
  return true;
}

function parseV4(text: string): Address | null {
  const parts = text.split(".");
  if (parts.length !== 4 || !parts.every((part) => OCTET.test(part) && Number(part) <= 255)) return null;
  return Uint8Array.from(parts, Number);
}

function parseV6(text: string): Address | null {
  const halves = text.split("::");
  if (halves.length > 2) return null;
  const [head = "", tail] = halves;
  const front = parseGroups(head, tail === undefined);
  const back = tail === undefined ? [] : parseGroups(tail, true);
  if (front === null || back === null) return null;
  const missing = 16 - front.length - back.length;
  // "::" stands for one or more groups; without it nothing may be missing.
  if (tail === undefined ? missing !== 0 : missing < 2) return null;
  const bytes = new Uint8Array(16);
  bytes.set(front);
  bytes.set(back, 16 - back.length);
  return bytes;
}

/** The bytes of groups between colons; the last one may be an IPv4 address when the text ends with it. */
function parseGroups(text: string, isLast: boolean): number[] | null {
  if (text === "") return [];
  const groups = text.split(":");
  const bytes: number[] = [];
  for (const [index, group] of groups.entries()) {
    const dotted = isLast && index === groups.length - 1 && group.includes(".") ? parseV4(group) : null;
    if (dotted !== null) {
      bytes.push(...dotted);
    } else if (GROUP.test(group)) {
      const value = Number.parseInt(group, 16);
      bytes.push(value >> 8, value & 255);
    } else {
      return null;
    }
  }
  return bytes.length <= 16 ? bytes : null;
}

function parseCidr(item: string): Cidr {
  const [text = "", prefix, ...rest] = item.split("/");
  const base = parseAddress(text);
  const bitsMax = base === null ? 0 : base.length * 8;
  const prefixBits = prefix === undefined ? bitsMax : PREFIX_BITS.test(prefix) ? Number(prefix) : bitsMax + 1;
  if (base === null || rest.length > 0 || prefixBits > bitsMax) {
    throw new Error(`${quote(item)} is not a block of addresses such as 10.0.0.0/8 or fd00::/8`);
  }
  if (base.some((byte, index) => (byte & (255 >> Math.min(8, Math.max(0, prefixBits - index * 8)))) !== 0)) {
    throw new Error(`${quote(item)} has bits set behind its prefix of ${prefixBits}`);
  }
  return prefixBits >= 96 && isIn(base, MAPPED)
    ? { base: base.slice(12), prefixBits: prefixBits - 96 }
    : { base, prefixBits };
}

function blocks(rows: readonly (readonly [text: string, what: string])[]): readonly SpecialBlock[] {
  return rows.map(([text, what]) => ({ cidr: parseCidr(text), text, what }));
}

function forbidden(reason: string): AddressVerdict {
  return { kind: "forbidden", reason };
}

/** What came from outside goes into a sentence shortened and with its control characters escaped. */
function quote(text: string): string {
  return JSON.stringify(text.length > 64 ? `${text.slice(0, 64)}…` : text);
}
