/** What a person has who walks through the dashboard: what `npm start` starts, its key and link, and a real browser. */
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { openFolder, spawnPosthaste } from "../e2e/posthaste-child.ts";
import { openRealBrowser } from "./real-browser.ts";

export async function openDashboardWalk(
  prepare: (folder: string) => Promise<Readonly<Record<string, string>>> = async () => ({}),
) {
  const folder = openFolder();
  const child = spawnPosthaste(["dev"], { PORT: "0", POSTHASTE_DATA: folder.path, ...(await prepare(folder.path)) });
  await child.match(/Ctrl-C stops/);
  const value = (name: string): string =>
    new RegExp(`^ {2}${name} +(\\S+)$`, "m").exec(child.printed.stdout)?.[1] ?? "";
  const [url, key, receiver, link] = [value("API"), value("API key"), value("Receiver"), value("Dashboard")];
  const browser = await openRealBrowser();
  const publish = async (path: string, body: object): Promise<{ readonly id: string }> => {
    const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
    const response = await fetch(`${url}${path}`, { method: "POST", headers, body: JSON.stringify(body) });
    assert.ok(response.ok, await response.clone().text());
    return (await response.json()) as { readonly id: string };
  };
  return {
    url,
    key,
    receiver,
    link,
    publish,
    ...browser,
    async [Symbol.asyncDispose]() {
      await browser[Symbol.asyncDispose]();
      await child[Symbol.asyncDispose]();
      folder[Symbol.dispose]();
    },
  };
}

/** Until the page, loaded again, says so: what is told of a delivery comes a moment after it. */
export async function untilSaid(page: Page, words: string): Promise<void> {
  for (let turn = 0; turn < 50; turn++) {
    if ((await page.locator("main").innerText()).includes(words)) return;
    await page.waitForTimeout(100);
    await page.reload();
  }
  assert.fail(`${page.url()} never said ${words}: ${await page.locator("main").innerText()}`);
}
