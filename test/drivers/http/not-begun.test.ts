/** What a request waited for may come after a standstill: it is asked once more before its first byte. */
import assert from "node:assert/strict";

import { CLIENTS, assertFault, openReceiver, openerOf, post, running, testWith } from "../../support/receiver.ts";

for (const client of CLIENTS) {
  const test = testWith(client);
  const openTransport = openerOf(client);

  test("a request that may not begin any more when it has its connection is not sent, and the next one is", async () => {
    let count = 0;
    await using receiver = await openReceiver((_request, response) => {
      count += 1;
      response.writeHead(200).end();
    });
    await using transport = openTransport();
    const url = `http://127.0.0.1:${receiver.port}/`;
    const answers = [true, false];
    // It may when its address was found, and may not when its connection is there.
    const outdated = await transport.send(post(url, { mayBegin: () => answers.shift() ?? false }), running);
    assertFault(outdated, "aborted", /stood still before anything was sent/);
    assert.equal(count, 0);
    const unresolved = await transport.send(post(url, { mayBegin: () => false }), running);
    assertFault(unresolved, "aborted", /stood still before anything was sent/);
    const sent = await transport.send(post(url), running);
    assert.deepEqual([sent.kind, count], ["answered", 1]);
  });
}
