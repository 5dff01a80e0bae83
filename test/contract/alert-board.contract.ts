/** What every implementation of the port `alert-board` promises. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { OpenHarness } from "./harness.ts";

export function alertBoardContract(name: string, open: OpenHarness): void {
  test(`${name} alert board: of those who write at the same time one does, and the others hear that they did not`, async () => {
    await using harness = await open();
    const { alertBoard } = harness.drivers;
    assert.equal(await alertBoard.read(), null);
    const answers = await Promise.all(["a", "b", "c"].map((text) => alertBoard.replace(null, text)));
    assert.equal(answers.filter((isWritten) => isWritten).length, 1);
    assert.equal(await alertBoard.read(), ["a", "b", "c"][answers.indexOf(true)]);
  });

  test(`${name} alert board: it writes over what was read alone`, async () => {
    await using harness = await open();
    const { alertBoard } = harness.drivers;
    assert.equal(await alertBoard.replace(null, "one"), true);
    assert.equal(await alertBoard.replace("other", "two"), false);
    assert.equal(await alertBoard.replace(null, "two"), false);
    assert.equal(await alertBoard.replace("one", "two"), true);
    assert.equal(await alertBoard.read(), "two");
  });

  test(`${name} alert board: it outlives the process`, async () => {
    await using harness = await open();
    await harness.drivers.alertBoard.replace(null, "kept");
    await harness.reopen();
    assert.equal(await harness.drivers.alertBoard.read(), "kept");
  });
}
