/** docs/finding-out-why.md, done: each step's page says in a real browser what the step says that it does, and has its picture. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { Locator, Page } from "playwright-core";
import { openDashboardWalk, untilSaid } from "./dashboard-walk.ts";
import { assertAccessible, takePicture } from "./real-browser.ts";

const DOCS = join(import.meta.dirname, "../../docs");
const GUIDE = readFileSync(join(DOCS, "finding-out-why.md"), "utf8");

interface Step {
  /** What the step says that the page says. */
  readonly named: readonly string[];
  /** Without its ending. */
  readonly picture: string;
}

const steps = GUIDE.split(/^## (?=\d\. )/m)
  .slice(1)
  .map((text): Step => {
    const [step = ""] = text.split(/^## /m);
    const named = [...step.replaceAll(/\s+/g, " ").matchAll(/\*\*([^*]+)\*\*/g)].map(([, words]) => words ?? "");
    return { named, picture: /\(dashboard\/(why-[\w-]+)\.png\)/.exec(step)?.[1] ?? "" };
  });

/** Letter case apart: what begins a sentence in the guide may stand within one on the page. */
async function assertStep(page: Page, number: number, from: Locator, height: number): Promise<void> {
  const { named, picture } = steps[number - 1] ?? { named: [], picture: "" };
  const said = (await page.locator("main").innerText()).replaceAll(/\s+/g, " ").toLowerCase();
  assert.ok(named.length >= 2, `step ${number} names what is seen`);
  for (const words of named) assert.ok(said.includes(words.toLowerCase()), `step ${number}: ${words} in ${said}`);
  await assertAccessible(page);
  await takePicture(page, picture, from, height);
  assert.ok(existsSync(join(DOCS, "dashboard", `${picture}.png`)), `step ${number} has its picture ${picture}`);
}

test("the walk of docs/finding-out-why.md: from an endpoint that fails to the event that arrives", async () => {
  assert.equal(steps.length, 5);
  await using walk = await openDashboardWalk();
  const { page, receiver, publish } = walk;
  const billing = { url: `${receiver}/billing`, event_types: ["invoice.*"], description: "Billing" };
  await publish("/v1/endpoints", billing);
  const orders = { url: `${receiver}/status/500`, event_types: ["order.*"], description: "Orders" };
  await publish("/v1/endpoints", { ...orders, retry: { delays_s: [0] } });
  await publish("/v1/events", { type: "invoice.paid", data: { amount: 12.5 } });
  await publish("/v1/events", { type: "order.paid", data: { order: "ord_1001" } });

  await page.goto(walk.link);
  await untilSaid(page, "failing");
  await untilSaid(page, "✕ dead");
  await assertStep(page, 1, page.getByRole("heading", { name: "Endpoints" }), 560);

  const endpoints = page.getByRole("table", { name: "Endpoints, those in trouble first" }).getByRole("row");
  assert.match(await endpoints.nth(1).innerText(), /Orders[^]*failing/, "made later than the other");
  await page.getByRole("row", { name: "order.paid" }).getByRole("link").click();
  await untilSaid(page, "attempt 1 of 1 was the last");
  const event = page.url();
  await assertStep(page, 2, page.locator("h1"), 860);

  await page.locator(".card h3 a").click();
  await page.getByRole("link", { name: "Change settings" }).click();
  await page.getByLabel("URL").fill(`${receiver}/orders`);
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("The settings are saved.").waitFor();
  await assertStep(page, 3, page.locator("h1"), 600);

  await page.getByRole("link", { name: "Look at its dead letters" }).click();
  await assertStep(page, 4, page.locator("h1"), 540);
  await page.getByLabel("Choose all on this page").check();
  await page.getByRole("button", { name: "Replay the chosen" }).click();
  await page.getByText("1 dead letter replayed").waitFor();

  await page.goto(event);
  await untilSaid(page, "200");
  await assertStep(page, 5, page.locator("h1"), 940);
  assert.deepEqual(walk.complaints, []);
});
