/** The portal of two gateways over Redis and Kafka: whichever is asked, for the link, to follow it, and for the pages. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { waitFor } from "../support/services/wait-for.ts";
import { openDistributedHarness } from "./distributed-harness.ts";

const ORIGIN = "https://app.example.com";

test("a link that one gateway made is followed at another, and ends at both with its key", async () => {
  const env = { PORTAL_ORIGINS: ORIGIN, PORTAL_NAME: "Acme Webhooks", PORTAL_URL: "https://hooks.example.com" };
  await using harness = await openDistributedHarness({ gateways: 2, processors: 0, env });
  const [first = "", second = ""] = harness.gateways.map(({ url }) => url);
  const scopes = ["manage", "read"];
  const key = await harness.ask(0, "/v1/api-keys", { name: "portal", tenant: "operator", scopes });
  const made = await harness.ask(0, "/v1/portal-links", { tenant: "acme" }, String(key.body["key"]));
  const [at = "", link = ""] = String(made.body["url"]).split("#sign-in=");
  assert.equal(at, "https://hooks.example.com/portal/sign-in");
  for (const tenant of ["acme", "beta"]) {
    const endpoint = { url: `https://${tenant}.example.com/`, tenant };
    assert.equal((await harness.ask(1, "/v1/endpoints", endpoint)).status, 201);
  }

  const entered = await fetch(`${second}/portal/sign-in`, {
    method: "POST",
    headers: { origin: second, "content-type": "application/x-www-form-urlencoded" },
    body: new URLSearchParams({ link }).toString(),
    redirect: "manual",
  });
  assert.equal(entered.status, 303);
  const [field = ""] = entered.headers.getSetCookie();
  assert.match(field, /SameSite=None; Partitioned; Secure$/);
  const cookie = field.split(";", 1)[0] ?? "";
  const visit = (url: string) => fetch(`${url}/portal/endpoints`, { headers: { cookie } });
  for (const url of [first, second]) {
    const page = await visit(url);
    const text = await page.text();
    assert.equal(page.status, 200, text);
    assert.match(text, /Endpoints · Acme Webhooks[^]*https:\/\/acme\.example\.com\//);
    assert.doesNotMatch(text, /beta/);
    assert.match(page.headers.get("content-security-policy") ?? "", new RegExp(`frame-ancestors ${ORIGIN};`));
  }

  const revoked = await fetch(`${first}/v1/api-keys/${String(key.body["id"])}`, {
    method: "DELETE",
    headers: { authorization: `Bearer ${harness.operatorKey}` },
  });
  assert.equal(revoked.status, 204);
  for (const url of [first, second]) await untilRefused(() => visit(url));
});

async function untilRefused(visit: () => Promise<Response>): Promise<void> {
  const holds = async (): Promise<boolean> => {
    const { status } = await visit();
    assert.ok(status === 200 || status === 401, String(status));
    return status === 401;
  };
  await waitFor({ fact: "the session to end with its key", withinMs: 5000, holds });
}
