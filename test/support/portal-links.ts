/** Links to the portal, as a SaaS asks for them, and the browser that follows one. */
import assert from "node:assert/strict";
import { DashboardClient, movedTo } from "./dashboard-client.ts";
import type { GatewayHarness } from "./gateway-harness.ts";
import { textAt } from "./gateway-harness.ts";

/** The token of a link. */
export async function askLink(harness: GatewayHarness, body: object, key?: string): Promise<string> {
  const answer = await harness.call("POST", "/v1/portal-links", { body, ...(key === undefined ? {} : { key }) });
  assert.equal(answer.status, 201, answer.text);
  return tokenOf(textAt(answer.json, "url"));
}

export function tokenOf(url: string): string {
  const token = /\/portal\/sign-in#sign-in=([\w-]+)$/.exec(url)?.[1];
  assert.ok(token !== undefined, url);
  return token;
}

/** Who followed a link that was asked for just now, with the token for forms. */
export async function enterPortal(harness: GatewayHarness, body: object, key?: string): Promise<DashboardClient> {
  const client = new DashboardClient(harness.gateway);
  const link = await askLink(harness, body, key);
  assert.equal(movedTo(await client.send("/portal/sign-in", { link })), "/portal");
  assert.equal((await client.visit("/portal")).status, 200);
  return client;
}
