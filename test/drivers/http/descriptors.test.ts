/** A process without a descriptor left does not blame the receiver. Its limit is its own, so a child process has it. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import process from "node:process";
import { test } from "node:test";

import { CLIENTS, OK_ANSWER, openRawReceiver } from "../../support/receiver.ts";

const CHILD = new URL("descriptors-child.ts", import.meta.url).pathname;

for (const client of CLIENTS) {
  test(`${client}: a process without a descriptor left has a fault of its own`, async () => {
    await using receiver = await openRawReceiver((socket) => socket.write(OK_ANSWER));
    const told = await run(['ulimit -n 128 && exec "$@"', "sh", process.execPath, CHILD, client, receiver.url]);
    const [before, without, after] = JSON.parse(told) as { kind: string; status?: number; fault?: string }[];
    assert.equal(before?.status, 200, told);
    assert.equal(without?.fault, "exhausted", told);
    assert.equal(after?.status, 200, told);
  });
}

/** What \`sh -c\` writes to stdout. */
async function run(shell: readonly string[]): Promise<string> {
  const child = spawn("/bin/sh", ["-c", ...shell], { stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  child.stdout.on("data", (chunk: Buffer) => (text += chunk.toString()));
  const code = await new Promise((resolve) => void child.once("close", resolve));
  assert.equal(code, 0, text);
  return text;
}
