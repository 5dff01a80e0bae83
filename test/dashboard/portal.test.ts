/**
 * The portal in a real browser: two tenants who never see each other's, links that are no good, and the page of docs/portal.md that
 * shows it in a frame.
 */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { deflateSync } from "node:zlib";
import { test } from "node:test";
import { portalPath } from "@posthaste/gateway/dashboard/session.ts";
import { hashApiKey } from "@posthaste/shared/domain/api-key.ts";
import { createSealer, systemClock, systemHasher } from "@posthaste/shared/drivers/system.ts";
import type { Page } from "playwright-core";
import type { Folder } from "../e2e/posthaste-child.ts";
import { openFolder, spawnPosthaste, spawnWatched } from "../e2e/posthaste-child.ts";
import { freePort } from "../support/services/free-ports.ts";
import { assertAccessible, openRealBrowser, takeScreenshots } from "./real-browser.ts";

const MASTER_KEY = new Uint8Array(32).fill(9);
const COLOUR = "#0b7a75";

async function open(options: { readonly blocksForeignCookies?: boolean } = {}) {
  const folder = openFolder();
  const [listed, unlisted] = [await freePort(), await freePort()];
  const child = spawnPosthaste(["dev"], {
    PORT: "0",
    POSTHASTE_DATA: folder.path,
    POSTHASTE_MASTER_KEY: Buffer.from(MASTER_KEY).toString("base64"),
    PORTAL_ORIGINS: `http://localhost:${listed}`,
    PORTAL_NAME: "Acme Webhooks",
    PORTAL_COLOUR: COLOUR,
    PORTAL_LOGO: logoIn(folder),
  });
  await child.match(/Ctrl-C stops/);
  const value = (name: string): string =>
    new RegExp(`^ {2}${name} +(\\S+)$`, "m").exec(child.printed.stdout)?.[1] ?? "";
  const [url, key, receiver] = [value("API"), value("API key"), value("Receiver")];
  const browser = await openRealBrowser(options);
  const post = async (path: string, body: object) => {
    const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
    const response = await fetch(`${url}${path}`, { method: "POST", headers, body: JSON.stringify(body) });
    assert.ok(response.ok, await response.clone().text());
    return (await response.json()) as { readonly id: string; readonly url: string };
  };
  return {
    ...browser,
    url,
    key,
    receiver,
    post,
    ports: { listed, unlisted },
    /** The program of the guide, at a port of this machine. */
    async openHost(port: number) {
      const [, program = ""] = /^```js\n(\/\/ portal-page\.mjs[\s\S]*?)^```$/m.exec(read("docs/portal.md")) ?? [];
      const file = join(folder.path, `portal-page-${port}.mjs`);
      writeFileSync(file, program);
      const host = spawnWatched(process.execPath, [file], { API: url, KEY: key, PORT: String(port) });
      await host.match(/^http:/m);
      return host;
    },
    async [Symbol.asyncDispose]() {
      await browser[Symbol.asyncDispose]();
      await child[Symbol.asyncDispose]();
      folder[Symbol.dispose]();
    },
  };
}

function read(path: string): string {
  return readFileSync(join(import.meta.dirname, "../..", path), "utf8");
}

/** A square of 28 by 28, as PNG (W3C Portable Network Graphics, third edition). */
function logoIn(folder: Folder): string {
  const chunk = (name: string, data: Uint8Array): Buffer => {
    const named = Buffer.concat([Buffer.from(name), data]);
    const [length, check] = [Buffer.alloc(4), Buffer.alloc(4)];
    length.writeUInt32BE(data.length);
    check.writeUInt32BE(Bun.hash.crc32(named));
    return Buffer.concat([length, named, check]);
  };
  const head = Uint8Array.of(0, 0, 0, 28, 0, 0, 0, 28, 8, 2, 0, 0, 0);
  const row = [0, ...Array.from({ length: 28 }, () => [0x0b, 0x7a, 0x75]).flat()];
  const pixels = deflateSync(Uint8Array.from(Array.from({ length: 28 }, () => row).flat()));
  const path = join(folder.path, "logo.png");
  const signature = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
  writeFileSync(
    path,
    Buffer.concat([signature, chunk("IHDR", head), chunk("IDAT", pixels), chunk("IEND", new Uint8Array())]),
  );
  return path;
}

type Portal = Awaited<ReturnType<typeof open>>;

/** One endpoint that works and one that does not, with an event for each; every text of them names the tenant. */
async function fill({ post, receiver }: Portal, tenant: string) {
  const well = { url: `${receiver}/${tenant}-well`, event_types: [`${tenant}.*`], description: `${tenant} billing` };
  const endpoint = await post("/v1/endpoints", { ...well, tenant });
  const failing = { url: `${receiver}/status/500?of=${tenant}`, event_types: ["order.paid"], retry: { delays_s: [0] } };
  const broken = await post("/v1/endpoints", { ...failing, tenant });
  const event = await post("/v1/events", { type: `${tenant}.paid`, data: { of: `${tenant}-data` }, tenant });
  const dead = await post("/v1/events", { type: "order.paid", data: { of: `${tenant}-order` }, tenant });
  return { endpoint: endpoint.id, broken: broken.id, event: event.id, dead: dead.id };
}

async function sizeOf(page: Page, selector: string): Promise<readonly number[]> {
  const box = await page.locator(selector).boundingBox();
  return [Math.round(box?.width ?? 0), Math.round(box?.height ?? 0)];
}

async function untilSaid(page: Page, words: string): Promise<void> {
  for (let turn = 0; turn < 50; turn++) {
    if ((await page.locator("main").innerText()).includes(words)) return;
    await page.waitForTimeout(100);
    await page.reload();
  }
  assert.fail(`${page.url()} never said ${words}: ${await page.locator("main").innerText()}`);
}

test("two tenants by their links: each sees all of its own, and nothing of the other's on any page", async () => {
  await using portal = await open();
  const { page, url, post } = portal;
  const things = { acme: await fill(portal, "acme"), globex: await fill(portal, "globex") };
  for (const [tenant, other] of [
    ["acme", "globex"],
    ["globex", "acme"],
  ] as const) {
    const own = things[tenant];
    const foreign = [other, ...Object.values(things[other])];
    const assertOwn = async (): Promise<void> => {
      const text = await page.content();
      for (const each of foreign) assert.ok(!text.includes(each), `${page.url()} has ${each}`);
    };
    const back = { return_url: `https://app.${tenant}.example/settings` };
    await page.goto((await post("/v1/portal-links", { tenant, ...back })).url);
    await page.getByRole("heading", { name: "Overview" }).waitFor();
    assert.equal(page.url(), `${url}/portal`, "the address has no token in it");
    const wayBack = page.getByRole("link", { name: `Back to app.${tenant}.example` });
    assert.equal(await wayBack.getAttribute("href"), back.return_url);
    await untilSaid(page, "1 delivery will not be made");
    await assertOwn();
    await assertAccessible(page);
    // As high as it is wide, as its picture is: it was read.
    assert.deepEqual(await sizeOf(page, ".logo"), [28, 28]);
    if (tenant === "acme") await takeScreenshots(page, "portal-overview", ["light", "dark", "phone"]);
    const names = await page.getByRole("navigation", { name: "Sections" }).getByRole("link").allInnerTexts();
    assert.deepEqual(names, ["Overview", "Events", "Endpoints", "Dead letters", "Live", "Alerts", "Event types"]);
    for (const name of names) {
      await page.getByRole("link", { name, exact: true }).click();
      await page.getByRole("heading", { level: 1, name }).waitFor();
      assert.ok(new URL(page.url()).pathname.startsWith("/portal"), page.url());
      await assertOwn();
      await assertAccessible(page);
    }
    for (const path of [`/endpoints/${own.endpoint}`, `/endpoints/${own.broken}/edit`, `/events/${own.dead}`]) {
      assert.equal((await page.goto(`${url}/portal${path}`))?.status(), 200, path);
      await assertOwn();
      await assertAccessible(page);
    }
    const { endpoint, event } = things[other];
    for (const path of [`/endpoints/${endpoint}`, `/endpoints/${endpoint}/edit`, `/events/${event}`, "/api-keys"]) {
      for (const query of ["", `?tenant=${other}`]) {
        const status = (await page.goto(`${url}/portal${path}${query}`))?.status() ?? 0;
        assert.ok([403, 404].includes(status), `${path}${query} is ${status}`);
        for (const each of [`${other}-`, `${other} billing`, `${other}.paid`])
          assert.ok(!(await page.content()).includes(each));
      }
    }
    assert.equal((await page.goto(`${url}/dashboard/events`))?.status(), 401);
  }
  assert.deepEqual(portal.complaints, []);
});

test("live, and mending: the tenant's own alone, and each is done for it", async () => {
  await using portal = await open();
  const { page, url, receiver, post } = portal;
  await fill(portal, "globex");
  const own = await fill(portal, "acme");
  await page.goto((await post("/v1/portal-links", { tenant: "acme" })).url);
  await page.getByRole("link", { name: "Live", exact: true }).click();
  await page.getByText("Watching.").waitFor();
  await post("/v1/events", { type: "globex.paid", data: 1, tenant: "globex" });
  await post("/v1/events", { type: "acme.paid", data: 1, tenant: "acme" });
  const arrived = page.locator("#live-entries li").filter({ hasText: "delivered" });
  await arrived.waitFor();
  assert.doesNotMatch(await page.locator("#live-entries").innerText(), /globex/);
  await arrived.getByRole("link").click();
  await page.getByRole("heading", { name: "acme.paid" }).waitFor();
  assert.match(new URL(page.url()).pathname, /^\/portal\/events\//);

  await page.goto(`${url}/portal/endpoints/${own.broken}`);
  await page.getByRole("link", { name: "Change settings" }).click();
  await page.getByLabel("URL").fill(`${receiver}/orders`);
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("The settings are saved.").waitFor();
  await page.getByRole("link", { name: "Its dead letters", exact: true }).click();
  await page.getByLabel("Choose all on this page").check();
  await page.getByRole("button", { name: "Replay the chosen" }).click();
  await page.getByText("1 dead letter replayed").waitFor();

  await page.getByRole("link", { name: "Alerts" }).click();
  await page.getByLabel("Tell this URL").fill(`${receiver}/alerts`);
  await page.getByRole("button", { name: "Tell it" }).click();
  assert.match(await page.locator("main").innerText(), /whsec_/);
  await page.getByRole("link", { name: "To the alerts" }).click();
  assert.match(await page.locator("main").innerText(), /Who is told[^]*posthaste\.\*/);
  const dying = {
    url: `${receiver}/status/500`,
    event_types: ["order.lost"],
    retry: { delays_s: [0] },
    tenant: "acme",
  };
  await post("/v1/endpoints", dying);
  await post("/v1/events", { type: "order.lost", data: 1, tenant: "acme" });
  await post("/v1/endpoints", { ...dying, url: `${receiver}/status/410`, event_types: ["order.gone"] });
  await post("/v1/events", { type: "order.gone", data: 1, tenant: "acme" });
  for (const words of ["posthaste.delivery.dead", "posthaste.endpoint.disabled", "In trouble now", "/status/410"]) {
    await untilSaid(page, words);
  }
  assert.doesNotMatch(await page.locator("main").innerText(), /globex/);
  await assertAccessible(page);
  await takeScreenshots(page, "portal-alerts", ["light"]);
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByText("Go back to where you came from").waitFor();
  await assertAccessible(page);
  assert.deepEqual(portal.complaints, []);
});

test("a link that is altered or too old is refused in words, to who is in already as well", async () => {
  await using portal = await open();
  const { page, url, key, post } = portal;
  await fill(portal, "acme");
  const link = (await post("/v1/portal-links", { tenant: "acme" })).url;
  const grant = { tenant: "globex", mayChange: true, sessionMs: 60_000, returnUrl: null };
  const ended = { hash: hashApiKey(key, systemHasher), endsAtMs: systemClock.now() - 1, portal: grant };
  const old = `${url}${portalPath(createSealer(MASTER_KEY), ended)}`;
  const altered = `${link.slice(0, -10)}${link.slice(-10).split("").toReversed().join("")}`;
  for (const isIn of [false, true]) {
    if (isIn) {
      await page.goto(link);
      await page.getByRole("heading", { name: "Overview" }).waitFor();
    }
    for (const wrong of [altered, old]) {
      await page.goto("about:blank");
      await page.goto(wrong);
      await page.getByText("This link is too old, or is not whole.").waitFor();
      assert.doesNotMatch(await page.locator("body").innerText(), /acme|globex|Overview/);
    }
  }
  await assertAccessible(page);
  assert.deepEqual(portal.complaints, []);
});

for (const blocksForeignCookies of [false, true]) {
  const words = blocksForeignCookies ? "where cookies of other sites are blocked" : "as browsers come";
  test(`in a frame of the guide's page, ${words}: one signs in, makes an endpoint and sees it`, async () => {
    await using portal = await open({ blocksForeignCookies });
    const { page, receiver, ports, post } = portal;
    await fill(portal, "globex");
    await using host = await portal.openHost(ports.listed);
    await page.goto(`http://localhost:${ports.listed}/acme`);
    const frame = page.frameLocator("iframe");
    await frame.getByRole("heading", { name: "Overview" }).waitFor();
    await frame.getByRole("link", { name: "Endpoints", exact: true }).click();
    await frame.getByRole("link", { name: "Create an endpoint" }).click();
    await frame.getByLabel("URL").fill(`${receiver}/framed`);
    await frame.getByRole("button", { name: "Create the endpoint" }).click();
    await frame.getByText("shown this once").waitFor();
    await frame.getByRole("link", { name: "To the endpoint", exact: true }).click();
    await frame.getByRole("button", { name: "Send a test event" }).click();
    await frame.getByText("is on its way").waitFor();
    await frame.getByRole("link", { name: "Overview", exact: true }).click();
    await frame.getByRole("link", { name: `${receiver}/framed` }).waitFor();
    assert.doesNotMatch(await frame.locator("body").innerText(), /globex/);
    if (!blocksForeignCookies) await takeScreenshots(page, "portal-framed", ["light"]);
    assert.deepEqual(portal.complaints, []);
    const { data } = await endpointsOf(portal);
    assert.deepEqual(
      data.map(({ url, tenant }) => `${tenant} ${url}`),
      [`acme ${receiver}/framed`],
    );
    assert.equal(host.printed.stderr, "");
    // The page of another customer, in the same browser: the frame is theirs from then on.
    await post("/v1/events", { type: "globex.seen", data: 1, tenant: "globex" });
    await page.goto(`http://localhost:${ports.listed}/globex`);
    await frame.getByRole("heading", { name: "Overview" }).waitFor();
    assert.doesNotMatch(await frame.locator("body").innerText(), /framed/);
  });
}

async function endpointsOf({ url, key }: Portal) {
  const response = await fetch(`${url}/v1/endpoints?tenant=acme`, { headers: { authorization: `Bearer ${key}` } });
  return (await response.json()) as { readonly data: readonly { readonly url: string; readonly tenant: string }[] };
}

test("in a frame of a page that is not listed the browser shows nothing of it, nor of the dashboard in one that is", async () => {
  await using portal = await open();
  const { page, url, ports } = portal;
  await fill(portal, "acme");
  await using unlistedHost = await portal.openHost(ports.unlisted);
  await page.goto(`http://localhost:${ports.unlisted}/acme`);
  await untilRefused(page);
  assert.match(portal.complaints.join("\n"), /Framing '?http:\/\/127\.0\.0\.1|frame-ancestors http:\/\/localhost/);
  await using listedHost = await portal.openHost(ports.listed);
  await page.goto(`http://localhost:${ports.listed}/acme`);
  await page.frameLocator("iframe").getByRole("heading", { name: "Overview" }).waitFor();
  await page.evaluate(`document.querySelector("iframe").src = ${JSON.stringify(`${url}/dashboard`)}`);
  await untilRefused(page);
  assert.deepEqual([unlistedHost.printed.stderr, listedHost.printed.stderr], ["", ""]);
});

/** What stands in the frame is the browser's own page. */
async function untilRefused(page: Page): Promise<void> {
  for (let turn = 0; turn < 50; turn++) {
    const [, frame] = page.frames();
    if (frame?.url().startsWith("chrome-error:") === true) return;
    await page.waitForTimeout(100);
  }
  assert.fail(
    page
      .frames()
      .map((frame) => frame.url())
      .join(" "),
  );
}
