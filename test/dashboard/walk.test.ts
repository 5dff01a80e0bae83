/**
 * What a person does, in a real browser on what `npm start` starts: signs in by the printed link, makes an endpoint, watches a test
 * event arrive, finds out why another one did not, mends it, has it delivered, and leaves.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Page } from "playwright-core";
import { liveAnHour } from "./lived-hour.ts";
import { openDashboardWalk, untilSaid } from "./dashboard-walk.ts";
import { assertAccessible, takeScreenshots } from "./real-browser.ts";

const HOSTILE = `"'><script>window.isHacked = 1</script><img src=x onerror="window.isHacked = 1">`;

/** Runs in the page: pixels of a canvas by the colours of the page's variables. */
const INK_COUNTS = `(canvas, inks) => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  const style = getComputedStyle(document.documentElement);
  return inks.map((ink) => {
    const wanted = style.getPropertyValue(ink).trim().match(/[0-9a-f]{2}/g).map((part) => parseInt(part, 16));
    let count = 0;
    for (let at = 0; at < data.length; at += 4) {
      if (data[at + 3] > 200 && wanted.every((part, index) => Math.abs(part - data[at + index]) < 8)) count++;
    }
    return count;
  });
}`;

/** Each plot has ink of each of its lines in it, in the page's own colours, and what it shows is there as a table. */
async function assertPlotted(page: Page): Promise<void> {
  for (const [name, inks] of [
    ["plot-flow", ["--accent", "--good", "--bad"]],
    ["plot-times", ["--accent", "--warm"]],
  ] as const) {
    const canvas = `[aria-labelledby=${name}] canvas`;
    await page.locator(canvas).waitFor();
    const counts = await page.evaluate<number[]>(
      `(${INK_COUNTS})(document.querySelector("${canvas}"), ${JSON.stringify(inks)})`,
    );
    assert.ok(
      counts.every((count) => count > 50),
      `${name} has ${counts.join(", ")} pixels of ${inks.join(", ")}`,
    );
  }
  await page.getByText("The same as a table").click();
  assert.ok((await page.getByRole("table", { name: "Events by minute" }).getByRole("row").count()) > 55);
  await page.getByText("The same as a table").click();
}

/** On the list of events: the first of them, its story, and what was sent. */
async function findWhy(page: Page): Promise<void> {
  await page.locator("tbody a").first().click();
  const why = await page.locator("main").innerText();
  assert.match(why, /dead answered 500; attempt 1 of 1 was the last/);
  assert.match(why, /Why: what was decided/);
  await page.getByText("Request", { exact: true }).last().click();
  assert.match(
    await page.locator("details[open] pre").innerText(),
    /^POST http.*\nx-token: \(not shown\)\n[^]*webhook-id: evt_/,
  );
  await assertAccessible(page);
  await takeScreenshots(page, "event", ["light", "dark", "phone"]);
}

/** From the story to the endpoint and its settings: two mistakes, then what is right. */
async function mend(page: Page, url: string, rightUrl: string): Promise<void> {
  await page.locator(".card h3 a").click();
  await page.getByRole("heading", { name: url }).waitFor();
  await assertAccessible(page);
  await takeScreenshots(page, "endpoint", ["light"]);
  assert.match(await page.locator("main").innerText(), /Under way\s+\d+ of \d+/);
  await page.getByRole("link", { name: "Change settings" }).click();
  await page.getByLabel("When attempts are made").selectOption("The waits that I name");
  await page.getByLabel("The waits that I name").fill("0 s, soon");
  await page.getByRole("button", { name: "Save" }).click();
  assert.match(
    await page.locator("#f-retry_delays-wrong").innerText(),
    /number 2 of them.*must be a number of seconds/,
  );
  assert.equal(await page.getByLabel("The waits that I name").getAttribute("aria-invalid"), "true");
  await assertAccessible(page);
  await takeScreenshots(page, "endpoint-form", ["light", "phone"]);
  await page.getByLabel("The waits that I name").fill("0 s, 5 s");
  await page.getByLabel("URL").fill("ftp://nowhere");
  await page.evaluate("document.querySelector('main form').noValidate = true");
  await page.getByRole("button", { name: "Save" }).click();
  assert.match(await page.locator("#f-url-wrong").innerText(), /URL must/);
  await page.getByLabel("URL").fill(rightUrl);
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("The settings are saved.").waitFor();
  assert.match(await page.locator("main").innerText(), /2 attempts: at once, 5 s[^]*x-token/);
}

async function createEndpoint(page: Page, url: string, types: string): Promise<void> {
  await page.getByRole("link", { name: "Endpoints", exact: true }).click();
  await page.getByRole("link", { name: "Create an endpoint" }).click();
  await page.getByLabel("URL").fill(url);
  await page.getByLabel("Event types").fill(types);
  await page.getByLabel("Description").fill(`Billing ${HOSTILE}`);
  await assertAccessible(page);
  await page.getByRole("button", { name: "Create the endpoint" }).click();
  assert.match(await page.locator("main").innerText(), /whsec_/);
  await page.getByRole("link", { name: "To the endpoint", exact: true }).click();
}

test("from the printed link to a delivered event: sign in, create, send, watch, find, and sign out", async () => {
  await using walk = await openDashboardWalk();
  const { page, url, receiver } = walk;
  await page.goto(walk.link);
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  assert.equal(page.url(), `${url}/dashboard`, "the address has no token in it");
  assert.match(await page.locator("main").innerText(), /What to do next/);
  await assertAccessible(page);
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate("document.activeElement.textContent"), "Skip to the content");

  await createEndpoint(page, `${receiver}/`, "invoice.*");
  const live = await walk.openPage();
  await live.goto(`${url}/dashboard/live`);
  await live.getByText("Watching.").waitFor();
  await page.getByLabel("Event type of the test").fill("invoice.paid");
  await page.getByRole("button", { name: "Send a test event" }).click();
  assert.match(await page.locator("main").innerText(), /The test event evt_\w+ is on its way/);
  const arrived = live.locator("#live-entries li").filter({ hasText: "delivered" });
  await arrived.waitFor();
  assert.match(await arrived.innerText(), /delivered invoice\.paid evt_\w+ .*attempt 1 · answered 200 · \d+ ms/);
  await live.getByRole("button", { name: "Pause" }).click();
  await walk.publish("/v1/events", { type: "invoice.late", data: { [HOSTILE]: HOSTILE } });
  await live.getByRole("button", { name: "Go on (2 new)" }).click();
  await live.locator("#live-entries li").filter({ hasText: "invoice.late" }).first().waitFor();
  await assertAccessible(live);
  await takeScreenshots(live, "live", ["light", "dark"]);

  await page.getByRole("link", { name: "Events", exact: true }).click();
  await page.getByLabel("Type", { exact: true }).fill("invoice.late");
  await page.getByRole("button", { name: "Filter" }).click();
  assert.equal(await page.locator("tbody tr").count(), 1);
  await page.locator("tbody a").click();
  await untilSaid(page, "200");
  const story = await page.locator("main").innerText();
  assert.match(story, /Accepted .* into the lane medium[^]*delivered[^]*<script>window\.isHacked = 1<\/script>/);
  await assertAccessible(page);

  await live.goto(`data:text/html,<a href="${url}/dashboard/events?type=invoice.late">from elsewhere</a>`);
  await live.getByText("from elsewhere").click();
  await live.getByRole("heading", { name: "Events" }).waitFor();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  await assertAccessible(page);
  await takeScreenshots(page, "sign-in", ["light"]);
  assert.equal((await page.goto(`${url}/dashboard/events`))?.status(), 401);
  assert.equal(await page.evaluate("window.isHacked"), undefined);
  assert.deepEqual(walk.complaints, []);
});

test("an event that did not arrive: found out why, mended and delivered, by the pages alone", async () => {
  await using walk = await openDashboardWalk(liveAnHour);
  const { page, url, receiver, publish } = walk;
  await publish("/v1/endpoints", { url: `${receiver}/`, event_types: ["invoice.*"], description: "Billing" });
  const broken = {
    url: `${receiver}/status/500`,
    event_types: ["order.*"],
    description: "Orders",
    retry: { delays_s: [0] },
    headers: { "x-token": "s3cret" },
  };
  const endpoint = await publish("/v1/endpoints", broken);
  for (const type of ["invoice.paid", "invoice.sent"]) await publish("/v1/events", { type, data: { amount: 12.5 } });
  for (const order of ["ord_1001", "ord_1002"]) await publish("/v1/events", { type: "order.paid", data: { order } });

  await page.goto(`${url}/dashboard`);
  await page.getByLabel("API key").fill("phk_".padEnd(44, "z"));
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByText("This API key is not known.").waitFor();
  await page.getByLabel("API key").fill(walk.key);
  await page.getByRole("button", { name: "Sign in" }).click();
  await untilSaid(page, "2 deliveries will not be made");
  await untilSaid(page, "failing");
  await assertPlotted(page);
  await assertAccessible(page);
  await takeScreenshots(page, "overview", ["light", "dark", "phone"]);

  await page.getByRole("link", { name: "Events", exact: true }).click();
  await page.getByLabel("State").selectOption("dead");
  await page.getByRole("button", { name: "Filter" }).click();
  assert.equal(await page.locator("tbody tr").count(), 2);
  await assertAccessible(page);
  await findWhy(page);
  await mend(page, broken.url, `${receiver}/orders`);
  await page.getByRole("link", { name: "Its dead letters", exact: true }).click();
  await assertAccessible(page);
  await takeScreenshots(page, "dead-letters", ["light", "phone"]);
  await page.getByLabel("Choose all on this page").check();
  await page.getByRole("button", { name: "Replay the chosen" }).click();
  await page.getByText("2 dead letters replayed").waitFor();
  await page.getByRole("link", { name: "Endpoints", exact: true }).click();
  await page.getByRole("link", { name: `${receiver}/orders` }).click();
  await untilSaid(page, "delivered");
  assert.equal(new URL(page.url()).pathname, `/dashboard/endpoints/${endpoint.id}`);

  assert.deepEqual(walk.complaints, []);
});

test("a key that may only look is made, signs in, and sees no button that changes anything", async () => {
  await using walk = await openDashboardWalk();
  const { page, url, receiver, publish } = walk;
  const endpoint = await publish("/v1/endpoints", { url: `${receiver}/`, description: HOSTILE });
  await page.goto(walk.link);
  await page.getByRole("link", { name: "API keys" }).click();
  await assertAccessible(page);
  await page.getByLabel("Name").fill(`only looks ${HOSTILE}`);
  for (const scope of ["publish", "manage"]) await page.getByLabel(scope).uncheck();
  await page.getByRole("button", { name: "Create the key" }).click();
  const key = /phk_[0-9a-z]{40}/.exec(await page.locator("main").innerText())?.[0] ?? "";
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByLabel("API key").fill(key);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  await page.goto(`${url}/dashboard/endpoints/${endpoint.id}`);
  assert.deepEqual(
    await page.getByRole("button").allInnerTexts(),
    ["Sign out"].concat(await page.locator(".copy").allInnerTexts()),
  );
  await assertAccessible(page);
  assert.equal(await page.evaluate("window.isHacked"), undefined);
  assert.deepEqual(walk.complaints, []);
});
