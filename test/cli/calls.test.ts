/** Each command that calls a gateway, against the real gateway on the embedded drivers. */
import assert from "node:assert/strict";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { openFolder } from "../e2e/posthaste-child.ts";
import { openGatewayHarness } from "../support/gateway-harness.ts";
import { rowsIn, runCommand } from "./run-command.ts";

const HOOK = "https://example.com/hooks";

test("publish: one event, its data as the text it is, and twice under one id is told", async () => {
  await using harness = await openGatewayHarness();
  const words = ["publish", "invoice.paid", "--data", '{"total":12.50}', "--priority", "HIGH", "--id", "inv-1"];
  const first = await runCommand(harness, words);
  assert.deepEqual([first.code, first.stdout], [0, "inv-1 is accepted, in the lane high\n"]);
  const again = await runCommand(harness, [...words, "--json"]);
  assert.equal(rowsIn(again)[0]?.["idempotent_replayed"], true);
  const piped = await runCommand(harness, ["publish", "a.b", "--data", "-", "--json"], { stdin: '{"n":1e400}' });
  const shown = await runCommand(harness, ["events", "show", String(rowsIn(piped)[0]?.["id"]), "--data"]);
  assert.match(shown.stdout, /Data\n\{"n":1e400\}\n$/);
});

test("publish: what is wrong is told with its place, and nothing was sent of words that are wrong", async () => {
  await using harness = await openGatewayHarness();
  const refused = await runCommand(harness, ["publish", "not a type"]);
  assert.equal(refused.code, 1);
  assert.match(
    refused.stderr,
    /^type must be segments .*\n\(422 validation-failed from http:.*, trace [0-9a-f]{32}\)\n$/,
  );
  for (const [words, message] of [
    [["publish"], /^publish needs TYPE/],
    [["publish", "a", "--data", "{"], /^--data must be JSON/],
    [["publish", "a", "--file", "x"], /^--file holds whole events: a has no place beside it/],
    [["publish", "--file", "x", "--id", "b"], /--id has no place beside it/],
    [["publish", "--file", "/nowhere/x"], /^--file \/nowhere\/x cannot be read/],
  ] as const) {
    const { code, stderr } = await runCommand(harness, words);
    assert.equal(code, 2);
    assert.match(stderr, message);
  }
  assert.deepEqual((await runCommand(harness, ["events", "list", "--json"])).stdout, "");
});

test("publish --file -: batches, each refused line by its number, a bar on a terminal and none elsewhere", async () => {
  await using harness = await openGatewayHarness();
  const lines = Array.from({ length: 2300 }, (_, n) => JSON.stringify({ type: "a.b", data: n, id: `e-${n}` }));
  lines[1500] = '{"type":"not a type","data":1}';
  lines[1501] = "{no json";
  lines[7] = "";
  const stdin = lines.join("\n");
  const ran = await runCommand(harness, ["publish", "--file", "-", "--json"], { stdin });
  assert.equal(ran.code, 1);
  const rows = rowsIn(ran);
  assert.deepEqual(
    rows.map(({ line }) => line),
    lines.flatMap((text, at) => (text === "" ? [] : [at + 1])),
  );
  assert.deepEqual(
    rows.filter(({ status }) => status !== 202).map(({ line }) => line),
    [1501, 1502],
  );
  assert.match(
    ran.stderr,
    /^line 1501 is refused: type must be .*\nline 1502 is no JSON: .*\n2,297 events accepted, 2 lines refused/,
  );
  const onTerminal = await runCommand(harness, ["publish", "--file", "-"], { stdin, columns: 80 });
  assert.match(onTerminal.stdout, /^2,297 events accepted, 2,297 of them published before, 2 lines refused, in /);
  assert.ok(onTerminal.stderr.includes("\r\u001b[K"));
});

test("events: listed to the wish, shown, explained, sent again, cancelled", async () => {
  await using harness = await openGatewayHarness();
  const endpoint = String(rowsIn(await runCommand(harness, ["endpoints", "create", HOOK, "--json"]))[0]?.["id"]);
  const stdin = Array.from({ length: 130 }, (_, n) => `{"type":"a.b","data":${n},"id":"e-${n}"}`).join("\n");
  await runCommand(harness, ["publish", "--file", "-"], { stdin });
  const some = await runCommand(harness, ["events", "list", "--limit", "3"], { columns: 60 });
  assert.match(some.stdout, /ID.*TYPE.*STATE.*\ne-129 .*\ne-128 .*\ne-127 .*\n$/);
  assert.match(some.stderr, /These are 3 events, and there may be more/);
  const all = rowsIn(await runCommand(harness, ["events", "list", "--all", "--json", "--type", "a.b"]));
  assert.deepEqual([all.length, all[0]?.["id"], all[129]?.["id"]], [130, "e-129", "e-0"]);
  const none = await runCommand(harness, ["events", "list", "--state", "cancelled"]);
  assert.deepEqual([none.code, none.stdout, none.stderr], [0, "", "No events.\n"]);

  const shown = await runCommand(harness, ["events", "show", "e-1"]);
  assert.match(shown.stdout, /^Event +e-1\n[^]*State +pending[^]*Waits +for lane since /);
  assert.equal(rowsIn(await runCommand(harness, ["events", "show", "e-1", "--data", "--json"]))[0]?.["data"], 1);
  const why = await runCommand(harness, ["events", "why", "e-1", "--endpoint", endpoint]);
  assert.match(why.stdout, new RegExp(`^e-1 and ${endpoint}\nwaits for lane[^]*ON +CODE +DETAIL\nevent +accepted`));
  assert.match((await runCommand(harness, ["events", "why", "e-1"])).stdout, new RegExp(`^e-1 and ${endpoint}\n`));
  await runCommand(harness, ["publish", "a.b", "--id", "alone", "--tenant", "beta"]);
  const alone = await runCommand(harness, ["events", "why", "alone", "--tenant", "beta"]);
  assert.match(alone.stderr, /^No endpoint has anything of this event yet; it is pending/);

  const resent = await runCommand(harness, ["events", "resend", "e-1", "nothing", "e-2"]);
  assert.equal(resent.code, 1);
  assert.match(resent.stdout, new RegExp(`^e-1 is sent again to 1 endpoint: ${endpoint}\ne-2 is sent again`));
  assert.match(resent.stderr, /^nothing: .*\n$/);
  const later = new Date(harness.clock.now() + 3_600_000).toISOString();
  await runCommand(harness, ["publish", "a.b", "--id", "later", "--deliver-at", later]);
  assert.equal(
    (await runCommand(harness, ["events", "cancel", "later"])).stdout,
    "later is cancelled; nobody gets it.\n",
  );
  const { code, stderr } = await runCommand(harness, ["events", "cancel", "e-3"]);
  assert.deepEqual([code, stderr.startsWith("e-3: ")], [1, true]);
});

test("endpoints: made with its secret, shown without, changed, paused, resumed, rotated, tested, deleted", async () => {
  await using harness = await openGatewayHarness();
  const options = [
    "--types",
    "invoice.*, order.paid",
    "--header",
    "x-token: abc",
    "--retry",
    "0,5",
    "--batch",
    "10/500",
  ];
  const made = await runCommand(harness, ["endpoints", "create", HOOK, ...options]);
  const [, id = "", secret = ""] =
    /^(ep_\w+) {2}https:\/\/example\.com\/hooks\nSecret {2}(whsec_\S+)\n$/.exec(made.stdout) ?? [];
  assert.match(secret, /^whsec_/, made.stdout);
  const shown = await runCommand(harness, ["endpoints", "show", id]);
  assert.match(
    shown.stdout,
    /Types +invoice\.\*, order\.paid\n[^]*Headers +x-token\nRetry +before each attempt 0, 5 s\n/,
  );
  assert.ok(!`${shown.stdout}${made.stderr}`.includes(secret));
  assert.ok(!shown.stdout.includes("abc"));
  const words = [
    "endpoints",
    "update",
    id,
    "--header",
    "x-token:",
    "--batch",
    "none",
    "--description",
    "billing",
    "--json",
  ];
  const [changed] = rowsIn(await runCommand(harness, words));
  assert.deepEqual([changed?.["headers"], changed?.["batch"], changed?.["description"]], [{}, null, "billing"]);
  assert.match((await runCommand(harness, ["endpoints", "update", id])).stderr, /needs something to change/);
  assert.match((await runCommand(harness, ["endpoints", "pause", id])).stdout, / is paused /);
  const [paused] = rowsIn(await runCommand(harness, ["endpoints", "list", "--status", "paused", "--json"]));
  assert.equal(paused?.["id"], id);
  assert.match((await runCommand(harness, ["endpoints", "resume", id])).stdout, / is active /);
  assert.match((await runCommand(harness, ["endpoints", "rotate", id])).stdout, /^Secret {2}whsec_\S+\n$/);
  using folder = openFolder();
  const file = join(folder.path, "secret");
  writeFileSync(file, `whsec_${Buffer.alloc(32, 9).toString("base64")}\n`);
  const own = await runCommand(harness, ["endpoints", "rotate", id, "--secret-file", file]);
  assert.match(own.stdout, /^Secret {2}whsec_CQkJ\S+\n$/);
  assert.equal((await runCommand(harness, ["endpoints", "rotate", id, "--secret-file", "/nowhere"])).code, 2);
  assert.match((await runCommand(harness, ["endpoints", "test", id])).stdout, /^evt_\w+ is on its way to ep_/);
  const attempts = await runCommand(harness, ["endpoints", "attempts", id, "--outcome", "failed"]);
  assert.deepEqual([attempts.code, attempts.stderr], [0, "No attempts.\n"]);
  assert.equal((await runCommand(harness, ["endpoints", "delete", id])).stdout, `${id} is deleted.\n`);
  const gone = await runCommand(harness, ["endpoints", "show", id]);
  assert.equal(gone.code, 1);
  assert.match(gone.stderr, /\(404 not-found from /);
});

test("keys: made and shown once, on stdout alone, so that it can be piped; listed; revoked", async () => {
  await using harness = await openGatewayHarness();
  const words = [
    "keys",
    "create",
    "--name",
    "shop",
    "--tenant",
    "acme",
    "--scopes",
    "publish,read",
    "--rate-limit",
    "5/1000",
  ];
  const made = await runCommand(harness, words);
  assert.match(made.stdout, /^phk_\w+\n$/);
  assert.match(made.stderr, /^The key key_\w+ of acme may publish, read\. It is shown this once/);
  const [listed] = rowsIn(await runCommand(harness, ["keys", "list", "--tenant", "acme", "--json"]));
  assert.deepEqual(
    [listed?.["name"], listed?.["scopes"], "key" in (listed ?? {})],
    ["shop", ["publish", "read"], false],
  );
  const id = String(listed?.["id"]);
  assert.equal((await runCommand(harness, ["keys", "revoke", id, "--tenant", "acme"])).stdout, `${id} is revoked.\n`);
  assert.match((await runCommand(harness, ["keys", "list", "--tenant", "acme"])).stdout, /shop .* 5\/1000 +revoked/);
  assert.match((await runCommand(harness, ["keys", "create"])).stderr, /^keys create needs --name/);
});

test("dead-letters: listed, shown, replayed by id, by filter and all, deleted", async () => {
  await using harness = await openGatewayHarness();
  const endpointId = String(rowsIn(await runCommand(harness, ["endpoints", "create", HOOK, "--json"]))[0]?.["id"]);
  const letters = [];
  for (let n = 0; n < 5; n++) letters.push(await harness.addDeadLetter({ endpointId }));
  const [first, second] = letters.map(({ id }) => id);
  const listed = await runCommand(harness, ["dead-letters", "list", "--endpoint", endpointId, "--limit", "2"]);
  assert.match(listed.stdout, /REASON\n\S+ +order\.paid .* dead +10 .* answered 500\n/);
  const shown = await runCommand(harness, ["dead-letters", "show", first ?? ""]);
  assert.match(shown.stdout, /State +dead: answered 500\n/);
  assert.match((await runCommand(harness, ["dead-letters", "replay", first ?? ""])).stdout, / is replayed: evt_/);
  assert.match((await runCommand(harness, ["dead-letters", "delete", second ?? ""])).stdout, / is deleted\.\n/);
  for (const words of [[], ["x", "--all"], ["x", "--type", "a"]]) {
    assert.equal((await runCommand(harness, ["dead-letters", "replay", ...words])).code, 2);
  }
  const dry = await runCommand(harness, ["dead-letters", "replay", "--type", "order.paid", "--dry-run"]);
  assert.equal(dry.stdout, "3 dead letters would be replayed\n");
  const all = await runCommand(harness, ["dead-letters", "replay", "--all", "--rate", "50"], { columns: 80 });
  assert.equal(all.stdout, "3 dead letters replayed\n");
  assert.equal((await runCommand(harness, ["dead-letters", "list"])).stderr, "No dead letters.\n");
});

test("the lists fit a terminal of 80 columns", async () => {
  await using harness = await openGatewayHarness();
  const made = await runCommand(harness, ["endpoints", "create", `${HOOK}/${"long/".repeat(20)}`, "--json"]);
  const endpointId = String(rowsIn(made)[0]?.["id"]);
  await harness.addDeadLetter({ endpointId });
  await runCommand(harness, ["publish", "a.long.event.type.that.goes.on.and.on.for.a.while"]);
  const lists = [
    ["events", "list"],
    ["endpoints", "list"],
    ["dead-letters", "list"],
    ["keys", "list", "--tenant", "*"],
  ];
  for (const words of lists) {
    const { stdout } = await runCommand(harness, words, { columns: 80, env: { NO_COLOR: "1" } });
    assert.ok(stdout.includes("_"), words.join(" "));
    for (const line of stdout.split("\n")) assert.ok(line.length <= 80, line);
  }
});

test("a key that is not good, lacks a scope or is another tenant's is told with its remedy", async () => {
  await using harness = await openGatewayHarness();
  const apiKey = await harness.createKey({ tenant: "acme", scopes: ["read"] });
  const withKey = (key: string, ...words: readonly string[]) =>
    runCommand(harness, words, { env: { POSTHASTE_API_KEY: key } });
  const unknown = await withKey(`phk_${"x".repeat(40)}`, "events", "list");
  assert.equal(unknown.code, 1);
  assert.match(unknown.stderr, /The key of POSTHASTE_API_KEY is none of this gateway's[^]*\(401 unauthenticated from/);
  assert.match(
    (await withKey(apiKey, "publish", "a")).stderr,
    /posthaste keys list shows which has\.\n\(403 missing-scope/,
  );
  const other = await withKey(apiKey, "events", "list", "--tenant", "beta");
  assert.match(other.stderr, /leave --tenant out[^]*\(403 wrong-tenant/);
});

test("the key comes from a file, the environment, or the folder of dev, in this order, and never from nowhere", async () => {
  await using harness = await openGatewayHarness();
  using folder = openFolder();
  const file = join(folder.path, "key");
  writeFileSync(file, `${harness.operatorKey}\n`, { mode: 0o600 });
  const wrong = { POSTHASTE_API_KEY: `phk_${"x".repeat(40)}`, POSTHASTE_URL: "http://localhost:8080" };
  const listed = await runCommand(harness, ["events", "list", "--key-file", file], { env: wrong });
  assert.deepEqual([listed.code, listed.stderr], [0, "No events.\n"]);
  chmodSync(file, 0o644);
  const open = await runCommand(harness, ["events", "list", "--key-file", file]);
  assert.match(open.stderr, /can be read by other users of this machine: chmod 600/);
  const data = join(folder.path, "data");
  const env = { POSTHASTE_API_KEY: "", POSTHASTE_DATA: data };
  assert.match((await runCommand(harness, ["events", "list"], { env })).stderr, /^an API key is needed/);
  mkdirSync(data);
  writeFileSync(join(data, "operator.key"), harness.operatorKey, { mode: 0o600 });
  assert.equal((await runCommand(harness, ["events", "list"], { env })).code, 0);
  const elsewhere = await runCommand(harness, ["events", "list", "--url", "https://hooks.example.com"], { env });
  assert.match(elsewhere.stderr, /^an API key is needed/);
  assert.match((await runCommand(harness, ["events", "list", "--url", "ftp://x"])).stderr, /^--url must be the URL/);
});
