/** What the programs of the distributed set say when they cannot start. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import type { ProgramKind } from "posthaste/program.ts";
import { startProgram } from "posthaste/program.ts";

const kinds: readonly ProgramKind[] = ["gateway", "processor"];

/** What both programs say before they end by themselves; they must say the same. */
export async function complaintOf(env: Readonly<Record<string, string>>): Promise<string> {
  const complaints = await Promise.all(
    kinds.map(async (kind) => {
      const started = startProgram(kind, { POSTHASTE_MASTER_KEY: randomBytes(32).toString("base64"), ...env });
      const error: unknown = await started.then(
        (program) => program[Symbol.asyncDispose]().then(() => new Error(`the ${kind} started`)),
        (reason: unknown) => reason,
      );
      assert.ok(error instanceof Error);
      const lines = error.message.split("\n").filter((line) => line.startsWith(`${kind}: `));
      assert.ok(lines.length > 0, error.message);
      return lines.map((line) => line.slice(kind.length + 2)).join("\n");
    }),
  );
  const [first = "", second = ""] = complaints;
  assert.equal(first.replace("the gateway", "the program"), second.replace("the processor", "the program"));
  return first;
}
