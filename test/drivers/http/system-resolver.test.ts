/** The system resolver against a name server by hand: what each answer means, and that it ends when it is told to. */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import type { NameFilePaths } from "@posthaste/shared/drivers/http/name-files.ts";
import type { AddressResolver, Resolution } from "@posthaste/shared/drivers/http/resolver.ts";
import { createSystemResolver } from "@posthaste/shared/drivers/http/system-resolver.ts";
import { systemClock } from "@posthaste/shared/drivers/system.ts";

import type { Answers, NameAnswer, NameServer } from "../../support/name-server.ts";
import { openNameServer } from "../../support/name-server.ts";
import { running } from "../../support/receiver.ts";

const NO_FILES: NameFilePaths = { hosts: null, resolvConf: null };

function resolverOf(server: NameServer, files = NO_FILES): AddressResolver {
  return createSystemResolver({ clock: systemClock, nameServers: [server.address], files });
}

async function resolveBy(answers: Answers, name = "hooks.test"): Promise<Resolution> {
  await using server = await openNameServer(answers);
  return await resolverOf(server)(name, running);
}

test("both families are found, IPv6 first, and hold for the shorter TTL", async () => {
  const resolution = await resolveBy((_name, type) =>
    type === "A" ? { addresses: ["192.0.2.1", "192.0.2.2"], ttlS: 20 } : { addresses: ["2001:db8::1"], ttlS: 300 },
  );
  assert.equal(resolution.kind, "found", JSON.stringify(resolution));
  assert.deepEqual(resolution.addresses.toSorted(), ["192.0.2.1", "192.0.2.2", "2001:db8::1"]);
  assert.equal(resolution.addresses[0], "2001:db8::1");
  assert.equal(resolution.ttlMs, 20_000);
});

test("one family is enough, whichever it is, and a silent IPv6 side is not waited for", async () => {
  const only = await resolveBy((_name, type) => (type === "A" ? {} : { addresses: ["2001:db8::1"] }));
  assert.deepEqual(only.kind === "found" ? only.addresses : only, ["2001:db8::1"]);
  const silent = await resolveBy((_name, type) => (type === "A" ? { addresses: ["192.0.2.1"] } : null));
  assert.deepEqual(silent.kind === "found" ? silent.addresses : silent, ["192.0.2.1"]);
});

test("no such name, and a name without addresses, are answers", async () => {
  const missing = await resolveBy(() => ({ code: 3 }));
  assert.deepEqual(missing, { kind: "none", reason: "the name hooks.test does not resolve (ENOTFOUND)" });
  const empty = await resolveBy(() => ({}));
  assert.equal(empty.kind, "none");
  assert.match(empty.reason, /^the name hooks\.test does not resolve \((?:ENODATA|ENOTFOUND)\)$/);
});

test("a family without addresses beside one that is silent is no answer", async () => {
  await using server = await openNameServer((_name, type) => (type === "A" ? {} : null));
  const stop = new AbortController();
  const resolving = resolverOf(server)("hooks.test", stop.signal);
  await server.untilAsked(2);
  stop.abort();
  assert.equal((await resolving).kind, "unanswered");
});

test("a server failure is no answer of the endpoint's", async () => {
  const resolution = await resolveBy(() => ({ code: 2 }));
  // Deno 2.9 takes a server failure for a name that does not exist, and says no more.
  const isDeno = "Deno" in globalThis;
  assert.equal(resolution.kind, isDeno ? "none" : "unanswered");
  assert.match(resolution.reason, /hooks\.test/);
});

test("where no name server runs there is no answer, and no name is taken for missing", async () => {
  const server = await openNameServer(() => null);
  await server[Symbol.asyncDispose]();
  assert.equal((await resolverOf(server)("hooks.test", running)).kind, "unanswered");
});

test("a look-up ends with its signal; others of the same resolver go on", async () => {
  const { promise: answered, resolve: answer } = Promise.withResolvers<NameAnswer>();
  await using server = await openNameServer((name) => (name === "good.test" ? answered : null));
  const resolve = resolverOf(server);
  const stop = new AbortController();
  const silent = resolve("silent.test", stop.signal);
  const good = resolve("good.test", running);
  await server.untilAsked(4);
  stop.abort();
  assert.equal((await silent).kind, "unanswered");
  answer({ code: 3 });
  assert.equal((await good).kind, "none");
});

test("names of the hosts file and localhost are asked of nobody; a changed file is seen", async () => {
  await using folder = await openFolder();
  const hosts = join(folder.path, "hosts");
  await using server = await openNameServer(() => ({ code: 3 }));
  const resolve = resolverOf(server, { hosts, resolvConf: null });
  const addressesOf = async (name: string) => {
    const resolution = await resolve(name, running);
    return resolution.kind === "found" ? resolution.addresses : resolution.kind;
  };
  assert.deepEqual(await addressesOf("localhost"), ["::1", "127.0.0.1"]);
  assert.deepEqual(await addressesOf("app.localhost"), ["::1", "127.0.0.1"]);
  await writeFile(hosts, "# comment\n192.0.2.7 One one.test # two.test\nnonsense bad.test\n2001:db8::7\tone.test\n");
  assert.deepEqual(await addressesOf("ONE.test"), ["192.0.2.7", "2001:db8::7"]);
  assert.deepEqual(await addressesOf("one"), ["192.0.2.7"]);
  assert.deepEqual(server.asked, []);
  assert.equal(await addressesOf("two.test"), "none");
  assert.equal(await addressesOf("bad.test"), "none");
  await writeFile(hosts, "192.0.2.9 two.test\n");
  assert.deepEqual(await addressesOf("two.test"), ["192.0.2.9"]);
});

test("the search list: before a name without dots, behind one with dots, and told to nobody", async () => {
  await using folder = await openFolder();
  const resolvConf = join(folder.path, "resolv.conf");
  await writeFile(resolvConf, "nameserver 192.0.2.53\nsearch a.test. b.test\n");
  await using server = await openNameServer((name, type) =>
    name === "svc.b.test" && type === "A" ? { addresses: ["192.0.2.1"] } : { code: 3 },
  );
  const resolve = resolverOf(server, { hosts: null, resolvConf });
  assert.equal((await resolve("svc", running)).kind, "found");
  const first = server.asked.filter((question) => question.startsWith("A "));
  assert.deepEqual(first, ["A svc.a.test", "A svc.b.test"]);
  const missing = await resolve("hooks.example", running);
  assert.deepEqual(missing, { kind: "none", reason: "the name hooks.example does not resolve (ENOTFOUND)" });
  const asked = server.asked.filter((question) => question.startsWith("A ")).slice(2);
  assert.deepEqual(asked, ["A hooks.example", "A hooks.example.a.test", "A hooks.example.b.test"]);
});

async function openFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), "posthaste-names-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
}
