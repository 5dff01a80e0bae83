/** The portal's settings with its picture, which is read once, at the start. Only programs that have a portal read them. */
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import type { Environment } from "../domain/config.ts";
import { ConfigError } from "../domain/config.ts";
import { reasonOf } from "../domain/errors.ts";
import type { Logo, PortalLook } from "../domain/portal-config.ts";
import { LOGO_BYTES_MAX, logoType, parsePortal } from "../domain/portal-config.ts";

/** Throws `ConfigError` with one line per wrong variable. */
export function readPortalLook(environment: Environment): PortalLook {
  const { portal, problems } = parsePortal(environment);
  if (problems.length > 0) throw new ConfigError(problems);
  const { logoPath, ...look } = portal;
  return { ...look, logo: logoPath === null ? null : readLogo(logoPath) };
}

function readLogo(path: string): Logo {
  const bytes = bytesOf(path);
  const type = logoType(bytes);
  if (type === null) throw new ConfigError([`PORTAL_LOGO must be a PNG, JPEG or WebP picture, and ${path} is none`]);
  return { bytes, type };
}

/** No more than a picture may have, whatever the path leads to. */
function bytesOf(path: string): Uint8Array<ArrayBuffer> {
  try {
    // Of a pipe, to open it would wait for somebody who writes.
    const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const stats = fstatSync(file);
      if (!stats.isFile()) throw new ConfigError([`PORTAL_LOGO must be a file, and ${path} is none`]);
      const { size } = stats;
      if (size > LOGO_BYTES_MAX) {
        throw new ConfigError([
          `PORTAL_LOGO must have at most ${LOGO_BYTES_MAX / 1024} KiB, and ${path} has ${Math.ceil(size / 1024)}`,
        ]);
      }
      const bytes = new Uint8Array(size);
      return bytes.subarray(0, readSync(file, bytes, 0, size, 0));
    } finally {
      closeSync(file);
    }
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    throw new ConfigError([`PORTAL_LOGO cannot be read: ${reasonOf(error)}`]);
  }
}
