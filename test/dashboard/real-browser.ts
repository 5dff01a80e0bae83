/** A Chromium without a window, and what it is asked of every page: no complaint of its own, of the policy, or of axe. */
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import axe from "axe-core";
import type { Browser, Locator, Page } from "playwright-core";
import { chromium } from "playwright-core";
import { CHROMIUM, requireChromium } from "../support/services/debian-packages.ts";

const PHONE = { width: 390, height: 844 };
const DESK = { width: 1280, height: 800 };
/** Where screenshots go, when they are to be taken anew: `docs/dashboard`. */
const folder = process.env["DASHBOARD_SCREENSHOTS"] ?? "";

export interface RealBrowser extends AsyncDisposable {
  readonly page: Page;
  /** Another window of the same browser, signed in as the first is. */
  openPage(): Promise<Page>;
  /** What a page complained of, scripts that others wanted to run included; empty after each test. */
  readonly complaints: readonly string[];
}

/** `blocksForeignCookies`: as browsers that keep no cookies of a frame but partitioned ones. */
export async function openRealBrowser(options: { readonly blocksForeignCookies?: boolean } = {}): Promise<RealBrowser> {
  requireChromium();
  const browser: Browser = await chromium.launch({
    executablePath: CHROMIUM,
    // A container has no sandbox for its root; the only pages are ours.
    args: ["--no-sandbox", ...(options.blocksForeignCookies === true ? ["--test-third-party-cookie-phaseout"] : [])],
  });
  const context = await browser.newContext({ viewport: DESK });
  const complaints: string[] = [];
  const openPage = async (): Promise<Page> => {
    const page = await context.newPage();
    page.on("pageerror", (error) => complaints.push(error.message));
    page.on("dialog", (dialog) => {
      complaints.push(`dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
    page.on("console", (message) => {
      if (/Content Security Policy|Refused to/.test(message.text())) complaints.push(message.text());
    });
    return page;
  };
  const page = await openPage();
  return { page, openPage, complaints, [Symbol.asyncDispose]: () => browser.close() };
}

interface Finding {
  readonly id: string;
  readonly impact: string;
  readonly nodes: readonly { readonly html: string; readonly failureSummary: string }[];
}

/** No serious violation, in either colour scheme, and nothing that is wider than a phone. */
export async function assertAccessible(page: Page): Promise<void> {
  const { pathname } = new URL(page.url());
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    await page.evaluate(axe.source);
    const found = await page.evaluate<Finding[]>("axe.run().then(({ violations }) => violations)");
    const serious = found.filter(({ impact }) => impact === "serious" || impact === "critical");
    const words = serious.map(
      ({ id, nodes }) => `${id}: ${nodes.map(({ html, failureSummary }) => `${html}\n${failureSummary}`).join("\n")}`,
    );
    assert.deepEqual(words, [], `${pathname} in ${colorScheme}`);
  }
  await page.emulateMedia({ colorScheme: "light" });
  await page.setViewportSize(PHONE);
  const width = await page.evaluate<number>("document.documentElement.scrollWidth");
  assert.ok(width <= PHONE.width, `${pathname} is ${width} wide on a phone`);
  await page.setViewportSize(DESK);
}

type Kind = "light" | "dark" | "phone";

/** Nothing unless screenshots are wanted. */
export async function takeScreenshots(page: Page, name: string, kinds: readonly Kind[]): Promise<void> {
  if (folder === "") return;
  mkdirSync(folder, { recursive: true });
  for (const kind of kinds) {
    await page.emulateMedia({ colorScheme: kind === "dark" ? "dark" : "light" });
    await page.setViewportSize(kind === "phone" ? PHONE : DESK);
    await page.evaluate("scrollTo(0, 0)");
    await page.screenshot({ path: join(folder, `${name}-${kind}.png`) });
  }
  await page.emulateMedia({ colorScheme: "light" });
  await page.setViewportSize(DESK);
}

/** Of a walk: as much as says it, from a place on. Nothing unless screenshots are wanted. */
export async function takePicture(page: Page, name: string, from: Locator, height: number): Promise<void> {
  if (folder === "") return;
  mkdirSync(folder, { recursive: true });
  await page.setViewportSize({ ...DESK, height });
  const top = (await from.boundingBox())?.y ?? 0;
  await page.evaluate(`scrollBy(0, ${top - 16})`);
  await page.screenshot({ path: join(folder, `${name}.png`) });
  await page.setViewportSize(DESK);
}
