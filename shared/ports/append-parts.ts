/** An append in parts, each of which is kept or not by itself. */
import type { Envelope } from "../domain/envelope.ts";
import { PartlyAppended } from "./lanes.ts";

/** All parts at once; waits for each. Throws as `Lanes.append` does: the failure when all failed, `PartlyAppended` else. */
export async function appendParts(
  parts: readonly (readonly Envelope[])[],
  append: (part: readonly Envelope[]) => Promise<void>,
): Promise<void> {
  const results = await Promise.allSettled(parts.map(append));
  const failures = new Map<Envelope, unknown>();
  for (const [index, result] of results.entries()) {
    if (result.status === "fulfilled") continue;
    const reason: unknown = result.reason;
    const failed = reason instanceof PartlyAppended ? reason.failures : null;
    for (const envelope of parts[index] ?? []) {
      if (failed === null) failures.set(envelope, reason);
      else if (failed.has(envelope)) failures.set(envelope, failed.get(envelope));
    }
  }
  if (failures.size === 0) return;
  if (failures.size < parts.flat().length) throw new PartlyAppended(failures);
  const [first] = failures.values();
  throw first;
}
