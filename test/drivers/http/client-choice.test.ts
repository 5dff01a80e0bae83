/** Which client a transport has (`POSTHASTE_HTTP_CLIENT`). */
import assert from "node:assert/strict";
import { test } from "node:test";

import {
  CLIENTS,
  OK_ANSWER,
  assertAnswer,
  openRawReceiver,
  openTransport,
  post,
  running,
} from "../../support/receiver.ts";

test("the runtime's own client is refused where there is none, with the remedy", async () => {
  const open = () => openTransport({ client: "runtime" });
  if (CLIENTS.includes("runtime")) await open()[Symbol.asyncDispose]();
  else assert.throws(open, /POSTHASTE_HTTP_CLIENT=undici/);
});

test("without a choice it is the runtime's own where there is one, else undici", async () => {
  await using receiver = await openRawReceiver((socket) => socket.write(OK_ANSWER));
  for (const client of [null, undefined]) {
    await using transport = openTransport(client === undefined ? {} : { client });
    assertAnswer(await transport.send(post(receiver.url), running), 200, "ok");
  }
});
