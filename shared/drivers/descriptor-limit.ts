/** How many descriptors the operating system lets this process open. */
import { readFileSync } from "node:fs";

/**
 * The soft limit, which Bun and Node raise to the hard one before our code runs. Infinity where the system sets none or
 * does not tell: only Linux has /proc.
 */
export function descriptorLimit(limits: () => string = readLimits): number {
  try {
    const soft = /^Max open files\s+(\d+)/m.exec(limits())?.[1];
    return soft === undefined ? Infinity : Number(soft);
  } catch {
    return Infinity;
  }
}

function readLimits(): string {
  return readFileSync("/proc/self/limits", "utf8");
}
