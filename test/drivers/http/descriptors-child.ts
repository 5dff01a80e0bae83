/** Sends with descriptors left, with none, and with some again. Arguments: the client, the URL. Prints the three results. */
import { closeSync, openSync } from "node:fs";
import { devNull } from "node:os";
import process from "node:process";

import type { HttpClientChoice } from "@posthaste/shared/domain/config.ts";

import { openTransport, post, running } from "../../support/receiver.ts";

const [client, url = ""] = process.argv.slice(2);

async function send() {
  await using transport = openTransport({ client: client as HttpClientChoice });
  return await transport.send(post(url), running);
}

const before = await send();
const held: number[] = [];
try {
  for (;;) held.push(openSync(devNull, "r"));
} catch {
  // There is none left.
}
const without = await send();
for (const descriptor of held) closeSync(descriptor);
process.stdout.write(JSON.stringify([before, without, await send()]));
