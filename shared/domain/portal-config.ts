/**
 * How the portal looks and where it may stand, by its settings. Each problem is named with its variable, and ends the start:
 * a portal that the wrong site may frame, or that nobody can reach, would be noticed by the customers of whoever runs it. Empty
 * counts as not set.
 */
import * as v from "valibot";
import type { Environment } from "./config.ts";
import { isThisMachine } from "./this-machine.ts";

export interface PortalConfig {
  /** The origin that browsers reach this gateway by; null: that of the request that asks for a link. */
  readonly url: string | null;
  /** Those whose pages may have the portal in a frame. */
  readonly origins: readonly string[];
  /** In place of the name of this program. */
  readonly name: string;
  /** `#rrggbb`, in lower case. */
  readonly colour: string | null;
  /** Of a picture on this machine. */
  readonly logoPath: string | null;
}

/** The same with the picture itself. */
export interface PortalLook extends Omit<PortalConfig, "logoPath"> {
  readonly logo: Logo | null;
}

export interface Logo {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly type: "image/png" | "image/jpeg" | "image/webp";
}

const NAME = "Webhooks";
export const PLAIN_PORTAL: PortalLook = { url: null, origins: [], name: NAME, colour: null, logo: null };

/** It is sent with each page until browsers have it. */
export const LOGO_BYTES_MAX = 128 * 1024;

/** A field of HTTP lists them with each page. */
const ORIGINS_MAX = 32;
const NAME_LENGTH_MAX = 40;

const ORIGIN =
  "such as https://app.example.com: https (http on this machine alone), no path, no wildcard, no slash at the end";

/** Made where they are used: a program that has no portal carries none of it. */
function schemas() {
  return {
    url: v.pipe(v.string(), v.check(isOrigin, `must be one origin, ${ORIGIN}`)),
    origins: v.pipe(
      v.string(),
      v.transform((text) => text.split(",").map((origin) => origin.trim())),
      v.check(
        (origins) => origins.length <= ORIGINS_MAX && origins.every(isOrigin),
        `must be 1 to ${ORIGINS_MAX} origins with commas between, each ${ORIGIN}`,
      ),
    ),
    name: v.pipe(
      v.string(),
      v.regex(/^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+$/u, "must be text on one line"),
      v.maxLength(NAME_LENGTH_MAX, `must have at most ${NAME_LENGTH_MAX} characters`),
    ),
    colour: v.pipe(
      v.string(),
      v.regex(/^#[0-9a-f]{6}$/i, "must be a colour as # and six hex digits, such as #1d5fd1"),
      v.toLowerCase(),
    ),
    logoPath: v.pipe(
      v.string(),
      v.regex(/^(?!\w+:\/\/).+\.(?:png|jpe?g|webp)$/i, "must be the path of a PNG, JPEG or WebP file on this machine"),
    ),
  };
}

export function parsePortal(environment: Environment): {
  readonly portal: PortalConfig;
  readonly problems: readonly string[];
} {
  const problems: string[] = [];
  function read<Output>(name: string, schema: v.GenericSchema<string, Output>): Output | null {
    const text = environment[name]?.trim() ?? "";
    if (text === "") return null;
    const parsed = v.safeParse(schema, text);
    if (parsed.success) return parsed.output;
    problems.push(`${name} ${parsed.issues[0].message}`);
    return null;
  }
  const { url, origins, name, colour, logoPath } = schemas();
  const portal = {
    url: read("PORTAL_URL", url),
    origins: read("PORTAL_ORIGINS", origins) ?? [],
    name: read("PORTAL_NAME", name) ?? NAME,
    colour: read("PORTAL_COLOUR", colour),
    logoPath: read("PORTAL_LOGO", logoPath),
  };
  return { portal, problems };
}

/** Of a host's name that the web knows: URLs take more, such as a semicolon, which parts the rules of a policy. */
const HOST = /^(?:[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?|\[[0-9a-f:.]+\])$/;

/** As browsers write it. Cookies in a frame, and a token in an address, are for https; this machine is as good to them. */
function isOrigin(text: string): boolean {
  try {
    const { origin, protocol, hostname } = new URL(text);
    return (
      origin === text &&
      (protocol === "https:" || (protocol === "http:" && isThisMachine(hostname))) &&
      HOST.test(hostname)
    );
  } catch {
    return false;
  }
}

/** By its first bytes, whatever its name says; null for what is no picture of these kinds. SVG is none: it can hold scripts. */
export function logoType(bytes: Uint8Array): Logo["type"] | null {
  const starts = (at: number, ...wanted: readonly number[]): boolean =>
    wanted.every((byte, index) => bytes[at + index] === byte);
  if (starts(0, 0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a)) return "image/png";
  if (starts(0, 0xff, 0xd8, 0xff)) return "image/jpeg";
  return starts(0, 0x52, 0x49, 0x46, 0x46) && starts(8, 0x57, 0x45, 0x42, 0x50) ? "image/webp" : null;
}
