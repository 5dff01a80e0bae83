/** What every implementation of the port `directory` promises. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Endpoint } from "@posthaste/shared/domain/endpoint.ts";
import type { Announcement } from "@posthaste/shared/ports/notifier.ts";
import type { EndpointFilter } from "@posthaste/shared/ports/directory.ts";
import type { OpenHarness } from "./harness.ts";
import { readAll, withCode } from "./harness.ts";
import { START_MS, TENANT, sampleEndpoint } from "../support/samples.ts";

export function directoryContract(name: string, open: OpenHarness): void {
  test(`${name} directory: find() gives back every field of what create() was given`, async () => {
    await using harness = await open();
    const endpoint = sampleEndpoint("ep_a", {
      status: "disabled",
      statusReason: "answered 410",
      statusSinceMs: START_MS + 5,
      trouble: {
        sinceMs: START_MS,
        seenAtMs: START_MS + 4,
        notice: { kind: "disabled", atMs: START_MS + 5, isSent: false },
      },
      secrets: [
        { secret: "whsec_new", createdAtMs: START_MS + 1, expiresAtMs: null },
        { secret: "whsec_old", createdAtMs: START_MS, expiresAtMs: START_MS + 86_400_000 },
      ],
    });
    await harness.drivers.directory.create(endpoint);
    assert.deepEqual(await harness.drivers.directory.find(TENANT, "ep_a"), endpoint);
  });

  test(`${name} directory: every field survives a crash, secrets and nulls too`, async () => {
    await using harness = await open();
    const full = sampleEndpoint("ep_full");
    const bare = sampleEndpoint("ep_bare", { headers: {}, retry: null, rateLimit: null, batch: null });
    await harness.drivers.directory.create(full);
    await harness.drivers.directory.create(bare);
    await harness.reopen();
    const { endpoints } = await harness.drivers.directory.endpoints(TENANT, 2);
    assert.deepEqual(endpoints, [full, bare]);
  });

  test(`${name} directory: find() is null for another tenant's endpoint`, async () => {
    await using harness = await open();
    await harness.drivers.directory.create(sampleEndpoint("ep_a"));
    assert.equal(await harness.drivers.directory.find("globex", "ep_a"), null);
    assert.equal(await harness.drivers.directory.find(TENANT, "ep_b"), null);
  });

  test(`${name} directory: a tenant that never had an endpoint has version 0 and none`, async () => {
    await using harness = await open();
    assert.equal(await harness.drivers.directory.version(TENANT), 0);
    assert.deepEqual(await harness.drivers.directory.endpoints(TENANT, 0), { version: 0, endpoints: [] });
  });

  test(`${name} directory: each change raises the version of its tenant alone`, async () => {
    await using harness = await open();
    const { directory } = harness.drivers;
    const versions = [await directory.version(TENANT)];
    await directory.create(sampleEndpoint("ep_a"));
    versions.push(await directory.version(TENANT));
    await directory.update(TENANT, "ep_a", (endpoint) => ({ ...endpoint, description: "changed" }));
    versions.push(await directory.version(TENANT));
    await directory.remove(TENANT, "ep_a");
    versions.push(await directory.version(TENANT));
    assert.deepEqual(
      versions,
      versions.toSorted((left, right) => left - right),
    );
    assert.equal(new Set(versions).size, 4);
    assert.equal(await directory.version("globex"), 0);
  });

  test(`${name} directory: the version does not fall back after a crash, not even without endpoints`, async () => {
    await using harness = await open();
    await harness.drivers.directory.create(sampleEndpoint("ep_a"));
    await harness.drivers.directory.remove(TENANT, "ep_a");
    const before = await harness.drivers.directory.version(TENANT);
    await harness.reopen();
    assert.equal(await harness.drivers.directory.version(TENANT), before);
  });

  test(`${name} directory: versions of tenants without endpoints have a bound, and none of them is given out again`, async () => {
    const emptyTenantsMax = 3;
    await using harness = await open({ emptyTenantsMax });
    const tenants = Array.from({ length: 24 }, (_, index) => `gone-${index}`);
    const versions: number[] = [];
    for (const tenant of tenants) {
      await harness.drivers.directory.create(sampleEndpoint(`ep_${tenant}`, { tenant }));
      await harness.drivers.directory.remove(tenant, `ep_${tenant}`);
      versions.push(await harness.drivers.directory.version(tenant));
      await harness.clock.advance(10);
    }
    await harness.reopen();
    const { directory } = harness.drivers;
    // A forgotten one has the version of all that are, which is the highest forgotten one of its shard.
    const now = await Promise.all(tenants.map((tenant) => directory.version(tenant)));
    assert.ok(now.every((version, index) => version >= (versions[index] ?? 0)));
    const kept = now.filter(
      (version, index) => version === versions[index] && now.indexOf(version) === now.lastIndexOf(version),
    );
    assert.ok(kept.length <= 3 * emptyTenantsMax, String(kept.length));
    assert.deepEqual(await directory.endpoints("gone-0", versions[0] ?? 0), { version: now[0], endpoints: [] });
    await directory.create(sampleEndpoint("ep_again", { tenant: "gone-0" }));
    const again = await directory.version("gone-0");
    assert.ok(again > (now[0] ?? 0), `${again} after ${now[0]}`);
    assert.deepEqual(
      (await directory.endpoints("gone-0", again)).endpoints.map(({ id }) => id),
      ["ep_again"],
    );
    assert.equal(await directory.remove("gone-0", "ep_again"), true);
  });

  test(`${name} directory: whoever asks for the version after a change sees the change`, async () => {
    await using harness = await open();
    const { directory } = harness.drivers;
    await directory.create(sampleEndpoint("ep_a"));
    await directory.create(sampleEndpoint("ep_b"));
    await directory.update(TENANT, "ep_a", (endpoint) => ({ ...endpoint, status: "paused" }));
    await directory.remove(TENANT, "ep_b");
    const atLeast = await directory.version(TENANT);
    const { version, endpoints } = await directory.endpoints(TENANT, atLeast);
    assert.ok(version >= atLeast);
    assert.deepEqual(
      endpoints.map(({ id, status }) => [id, status]),
      [["ep_a", "paused"]],
    );
  });

  test(`${name} directory: update() returns what it wrote, and null for what is not there`, async () => {
    await using harness = await open();
    const { directory } = harness.drivers;
    await directory.create(sampleEndpoint("ep_a"));
    const changed = await directory.update(TENANT, "ep_a", (endpoint) => ({
      ...endpoint,
      url: "https://example.org/",
    }));
    assert.deepEqual(changed, sampleEndpoint("ep_a", { url: "https://example.org/" }));
    assert.equal(await directory.update(TENANT, "ep_b", (endpoint) => endpoint), null);
    assert.equal(await directory.update("globex", "ep_a", (endpoint) => endpoint), null);
  });

  test(`${name} directory: updates at the same time lose none of the changes`, async () => {
    await using harness = await open();
    const { directory } = harness.drivers;
    await directory.create(sampleEndpoint("ep_a", { description: "" }));
    const letters = ["a", "b", "c", "d", "e"];
    await Promise.all(
      letters.map((letter) =>
        directory.update(TENANT, "ep_a", (endpoint) => ({ ...endpoint, description: endpoint.description + letter })),
      ),
    );
    const found = await directory.find(TENANT, "ep_a");
    assert.deepEqual((found?.description ?? "").split("").toSorted(), letters);
  });

  test(`${name} directory: of a hundred changes at once that agree, one is made and none is refused`, async () => {
    await using harness = await open();
    const { directory } = harness.drivers;
    await directory.create(sampleEndpoint("ep_a"));
    let changes = 0;
    const disable = (): Promise<Endpoint | null> =>
      directory.update(TENANT, "ep_a", (endpoint) => {
        if (endpoint.status === "disabled") return endpoint;
        changes += 1;
        return { ...endpoint, status: "disabled" };
      });
    const made = await Promise.all(Array.from({ length: 100 }, disable));
    assert.deepEqual(new Set(made.map((endpoint) => endpoint?.status)), new Set(["disabled"]));
    assert.ok(changes >= 1);
  });

  test(`${name} directory: an update whose change throws leaves everything as it was`, async () => {
    await using harness = await open();
    const { directory } = harness.drivers;
    await directory.create(sampleEndpoint("ep_a"));
    const before = await directory.version(TENANT);
    const refused = directory.update(TENANT, "ep_a", () => {
      throw new Error("no such change");
    });
    await assert.rejects(refused, /no such change/);
    assert.deepEqual(await directory.find(TENANT, "ep_a"), sampleEndpoint("ep_a"));
    assert.equal(await directory.version(TENANT), before);
  });

  test(`${name} directory: remove() returns whether there was one, and it stays away after a crash`, async () => {
    await using harness = await open();
    await harness.drivers.directory.create(sampleEndpoint("ep_a"));
    assert.equal(await harness.drivers.directory.remove("globex", "ep_a"), false);
    assert.equal(await harness.drivers.directory.remove(TENANT, "ep_a"), true);
    assert.equal(await harness.drivers.directory.remove(TENANT, "ep_a"), false);
    await harness.reopen();
    assert.equal(await harness.drivers.directory.find(TENANT, "ep_a"), null);
  });

  test(`${name} directory: list() is oldest first and pages without gap or repeat`, async () => {
    await using harness = await open();
    const waits = [30, 10, 20, 20, 20];
    for (const [index, wait] of waits.entries()) {
      await harness.drivers.directory.create(sampleEndpoint(`ep_${index}`, { createdAtMs: START_MS + wait }));
    }
    const pages = await readAll((cursor) => harness.drivers.directory.list({ tenant: TENANT }, 2, cursor));
    assert.deepEqual(
      pages.map((page) => page.length),
      [2, 2, 1],
    );
    assert.deepEqual(
      pages.flat().map(({ createdAtMs }) => createdAtMs - START_MS),
      [10, 20, 20, 20, 30],
    );
    assert.equal(new Set(pages.flat().map(({ id }) => id)).size, 5);
  });

  test(`${name} directory: list() of all tenants is for the operator, list() of one shows that one`, async () => {
    await using harness = await open();
    await harness.drivers.directory.create(sampleEndpoint("ep_a"));
    await harness.drivers.directory.create(sampleEndpoint("ep_b", { tenant: "globex" }));
    const ids = async (tenant: string | null) =>
      (await harness.drivers.directory.list({ tenant }, 10, null)).rows.map(({ id }) => id);
    assert.deepEqual([await ids(null), await ids("globex"), await ids("initech")], [["ep_a", "ep_b"], ["ep_b"], []]);
    await assert.rejects(harness.drivers.directory.list({ tenant: null }, 10, "nonsense"), withCode("invalid-cursor"));
  });

  test(`${name} directory: list() by status shows those alone, as they stand now, page by page`, async () => {
    await using harness = await open();
    const { directory } = harness.drivers;
    for (let index = 0; index < 9; index++) {
      const status = index % 3 === 0 ? "paused" : "active";
      await directory.create(sampleEndpoint(`ep_${index}`, { status, createdAtMs: START_MS + index }));
    }
    await directory.create(sampleEndpoint("ep_b", { tenant: "globex", status: "disabled" }));
    await directory.update(TENANT, "ep_3", (endpoint) => ({ ...endpoint, status: "active" }));
    const ids = async (filter: EndpointFilter, limit: number) =>
      (await readAll((cursor) => directory.list(filter, limit, cursor))).map((page) => page.map(({ id }) => id));
    assert.deepEqual((await ids({ tenant: TENANT, status: "paused" }, 1)).flat(), ["ep_0", "ep_6"]);
    assert.deepEqual(await ids({ tenant: TENANT, status: "active" }, 3), [
      ["ep_1", "ep_2", "ep_3"],
      ["ep_4", "ep_5", "ep_7"],
      ["ep_8"],
    ]);
    assert.deepEqual((await ids({ tenant: null, status: "disabled" }, 2)).flat(), ["ep_b"]);
    assert.deepEqual((await ids({ tenant: TENANT, status: "disabled" }, 2)).flat(), []);
  });

  test(`${name} directory: past the bound create() throws limit-reached, for that tenant alone`, async () => {
    await using harness = await open({ endpointsMax: 2 });
    const { directory } = harness.drivers;
    await directory.create(sampleEndpoint("ep_a"));
    await directory.create(sampleEndpoint("ep_b"));
    await assert.rejects(directory.create(sampleEndpoint("ep_c")), withCode("limit-reached"));
    await directory.create(sampleEndpoint("ep_d", { tenant: "globex" }));
    await directory.remove(TENANT, "ep_a");
    await directory.create(sampleEndpoint("ep_c"));
    assert.equal((await directory.endpoints(TENANT, 0)).endpoints.length, 2);
  });

  test(`${name} directory: the bound holds for creations at the same time`, async () => {
    await using harness = await open({ endpointsMax: 2 });
    const ids = ["ep_a", "ep_b", "ep_c", "ep_d"];
    const results = await Promise.allSettled(ids.map((id) => harness.drivers.directory.create(sampleEndpoint(id))));
    assert.equal(results.filter(({ status }) => status === "fulfilled").length, 2);
  });

  test(`${name} directory: create, update and remove are announced, and what is announced can be read`, async () => {
    await using harness = await open();
    const { directory, notifier } = harness.drivers;
    const heard: Announcement[] = [];
    notifier.subscribe((announcement) => void heard.push(announcement));
    await directory.create(sampleEndpoint("ep_a"));
    await directory.update(TENANT, "ep_a", (endpoint) => ({ ...endpoint, status: "paused" }));
    await directory.remove(TENANT, "ep_a");
    await harness.clock.settle();
    const announcement = { kind: "directory-changed", tenant: TENANT, endpointId: "ep_a" };
    assert.deepEqual(heard, [announcement, announcement, announcement]);
  });
}

/** Of a set that holds directories in memory; of any other `peek` shows nothing. */
export function directoryMemoryContract(name: string, open: OpenHarness): void {
  test(`${name} directory: peek() shows what endpoints() gave, or nothing, and never an older version`, async () => {
    await using harness = await open();
    const { directory } = harness.drivers;
    await directory.create(sampleEndpoint("ep_a"));
    const before = await directory.version(TENANT);
    const known = await directory.endpoints(TENANT, before);
    assert.deepEqual(directory.peek(TENANT, before), known);
    await directory.update(TENANT, "ep_a", (endpoint) => ({ ...endpoint, status: "paused" }));
    const after = await directory.version(TENANT);
    const seen = directory.peek(TENANT, after);
    assert.ok(seen === null || seen.version >= after);
    await directory.endpoints(TENANT, after);
    assert.equal(directory.peek(TENANT, after)?.endpoints[0]?.status, "paused");
  });
}
