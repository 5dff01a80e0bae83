import assert from "node:assert/strict";
import { test } from "node:test";
import type { Environment } from "@posthaste/shared/domain/config.ts";
import { ALERT_RULES } from "@posthaste/shared/domain/alert-rules.ts";
import { ConfigError, parseConfig } from "@posthaste/shared/domain/config.ts";

const MASTER_KEY = btoa("m".repeat(32));

function problemsOf(environment: Environment): readonly string[] {
  try {
    parseConfig(environment);
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    assert.equal(error.message, error.problems.join("\n"));
    return error.problems;
  }
  return [];
}

test("nothing set gives every default", () => {
  assert.deepEqual(parseConfig({}), {
    host: "127.0.0.1",
    port: 8080,
    processorPort: 0,
    gatewayProcesses: 1,
    logLevel: "info",
    logsDeliveries: true,
    stopNoticeMs: 3000,
    disableAfterMs: 432_000_000,
    alertRules: ALERT_RULES,
    claimBytesMax: null,
    catalogue: { taken: "any", isShown: true },
    dataFolder: "./.posthaste",
    operatorKey: null,
    allowCidrs: null,
    masterKey: null,
    masterKeyPrevious: null,
    masterKeyNext: null,
    httpClient: null,
    nameServers: null,
    resourceAttributes: {},
    otlp: { traces: null, metrics: null, logs: null },
  });
});

test("everything set is taken, and variables that are not ours are passed over", () => {
  const config = parseConfig({
    HOST: "0.0.0.0",
    PORT: "0",
    PROCESSOR_PORT: "65535",
    LOG_LEVEL: "debug",
    POSTHASTE_DATA: "/data",
    POSTHASTE_OPERATOR_KEY: "k".repeat(24),
    POSTHASTE_ALLOW_CIDRS: "10.0.0.0/8,fd00::/8",
    POSTHASTE_MASTER_KEY: MASTER_KEY,
    POSTHASTE_MASTER_KEY_PREVIOUS: btoa("p".repeat(32)),
    POSTHASTE_MASTER_KEY_NEXT: btoa("n".repeat(32)),
    POSTHASTE_HTTP_CLIENT: "undici",
    POSTHASTE_NAME_SERVERS: "10.0.0.2, fd00::53,[fd00::53]:5353,127.0.0.1:5353",
    HOME: "/root",
    EMPTY: undefined,
  });
  assert.equal(config.allowCidrs?.length, 2);
  assert.deepEqual(config.masterKey, new TextEncoder().encode("m".repeat(32)));
  assert.deepEqual(config.masterKeyPrevious, new TextEncoder().encode("p".repeat(32)));
  assert.deepEqual(config.masterKeyNext, new TextEncoder().encode("n".repeat(32)));
  assert.equal(config.httpClient, "undici");
  assert.deepEqual(config.nameServers, ["10.0.0.2", "fd00::53", "[fd00::53]:5353", "127.0.0.1:5353"]);
  assert.deepEqual([config.host, config.port, config.processorPort], ["0.0.0.0", 0, 65_535]);
});

test("an empty list of networks is a list, unlike none at all", () => {
  assert.deepEqual(parseConfig({ POSTHASTE_ALLOW_CIDRS: "" }).allowCidrs, []);
});

const wrong: readonly (readonly [name: string, values: readonly string[], remedy: RegExp])[] = [
  [
    "HOST",
    [
      "",
      " ",
      "127.0.0.1 ",
      "127.0.0.1:80",
      "[::1]",
      "http://localhost",
      "localhost/",
      "a,b",
      "*",
      "\t",
      "a".repeat(256),
    ],
    /must be an address or a name alone.*no scheme, port/,
  ],
  ["PORT", ["", "http", "-1", "65536", "80.5", "0x50", " 80", "123456"], /from 0 to 65535/],
  ["PROCESSOR_PORT", ["", "99999"], /from 0 to 65535/],
  ["LOG_LEVEL", ["", "INFO", "trace"], /debug, info, warn or error/],
  ["POSTHASTE_DATA", [""], /must name a folder/],
  [
    "POSTHASTE_OPERATOR_KEY",
    ["", "short-secret", "with blank with blank with blank", "k".repeat(129)],
    /24 to 128 characters/,
  ],
  [
    "POSTHASTE_ALLOW_CIDRS",
    ["10.0.0.0/", "10.0.0.1/8", "10.0.0.0/33", "secret.example", "10.0.0.0/8;fd00::/8"],
    /list of networks/,
  ],
  [
    "POSTHASTE_MASTER_KEY",
    ["", btoa("m".repeat(31)), btoa("m".repeat(33)), "not base64 at all!", MASTER_KEY.replace(/=+$/, "")],
    /32 bytes in base64/,
  ],
  ["POSTHASTE_MASTER_KEY_PREVIOUS", ["", btoa("m".repeat(31))], /32 bytes in base64/],
  ["POSTHASTE_MASTER_KEY_NEXT", ["", btoa("m".repeat(33))], /32 bytes in base64/],
  ["POSTHASTE_HTTP_CLIENT", ["", "fetch", "UNDICI"], /runtime or undici/],
  [
    "POSTHASTE_NAME_SERVERS",
    [
      "",
      "dns.example",
      "10.0.0.2,",
      "10.0.0.2:0",
      "10.0.0.2:65536",
      "[10.0.0.2:53",
      "10.0.0.2 10.0.0.3",
      Array(9).fill("10.0.0.2").join(),
    ],
    /addresses of name servers/,
  ],
];

for (const [name, values, remedy] of wrong) {
  for (const value of values) {
    test(`${name}=${JSON.stringify(value.slice(0, 40))} is one problem that names the variable and the remedy`, () => {
      const problems = problemsOf({ [name]: value });
      assert.equal(problems.length, 1);
      assert.match(problems[0] ?? "", new RegExp(`^${name} must `));
      assert.match(problems[0] ?? "", remedy);
    });
  }
}

test("every problem is named at once, each variable once", () => {
  const environment = Object.fromEntries(wrong.map(([name, values]) => [name, values[0] ?? ""]));
  const names = problemsOf(environment).map((problem) => problem.split(" ", 1)[0] ?? "");
  assert.equal(names.length, wrong.length);
  assert.deepEqual(new Set(names), new Set(wrong.map(([name]) => name)));
});

for (const name of ["POSTHASTE_OPERATOR_KEY", "POSTHASTE_MASTER_KEY", "POSTHASTE_MASTER_KEY_PREVIOUS"]) {
  test(`a wrong ${name} is never repeated in the error`, () => {
    const secret = "hush hush hush hush hush hush hush";
    for (const problem of problemsOf({ [name]: secret })) assert.ok(!problem.includes("hush"), problem);
  });
}

test("the catalogue of event types: any type or listed ones alone, shown or hidden", () => {
  const { catalogue } = parseConfig({ EVENT_TYPES: "listed", EVENT_TYPES_DOCS: "hidden" });
  assert.deepEqual(catalogue, { taken: "listed", isShown: false });
  assert.match(problemsOf({ EVENT_TYPES: "all" }).join(), /^EVENT_TYPES must be any or listed$/);
  assert.match(problemsOf({ EVENT_TYPES_DOCS: "no" }).join(), /^EVENT_TYPES_DOCS must be shown or hidden$/);
});

test("what idempotency keys may take is a whole number of GiB", () => {
  assert.equal(parseConfig({ IDEMPOTENCY_GIB: "16" }).claimBytesMax, 16 * 1024 ** 3);
  for (const text of ["0", "1.5", "1001", "4GiB", "-1"]) {
    assert.match(
      problemsOf({ IDEMPOTENCY_GIB: text }).join(),
      /^IDEMPOTENCY_GIB must be a whole number of GiB from 1 to 1000$/,
    );
  }
});

for (const host of ["0", "127.1", "0x7f000001", "1.2.3.4.5", "256.1.1.1", "a.0x1", "9".repeat(40)]) {
  test(`HOST=${host} is no address in full, though the system takes it for one`, () => {
    assert.match(problemsOf({ HOST: host }).join(), /^HOST must be an address in full, such as 127\.0\.0\.1/);
  });
}

test("deliveries are logged unless that is switched off", () => {
  assert.equal(parseConfig({ LOG_DELIVERIES: "false" }).logsDeliveries, false);
  assert.match(problemsOf({ LOG_DELIVERIES: "no" }).join(), /^LOG_DELIVERIES must be true or false$/);
});

for (const host of ["0.0.0.0", "::", "::1", "fe80::1%eth0", "::ffff:127.0.0.1", "localhost", "my-host_1.example"]) {
  test(`HOST may be ${host}`, () => {
    assert.equal(parseConfig({ HOST: host }).host, host);
  });
}

for (const path of ["/srv/$HOME/x", "/srv/${DATA}", "/srv/$(pwd)", "C:\\%USERPROFILE%\\x", "./a/$X"]) {
  test(`a variable in the middle of the path ${path} is refused, too`, () => {
    assert.throws(() => parseConfig({ POSTHASTE_DATA: path }), /POSTHASTE_DATA must be a path as it is/);
  });
}

for (const path of ["/srv/a~b", "/srv/cash$", "/srv/100%", "/srv/a b", "./x"]) {
  test(`${path} is a path as it is`, () => {
    assert.equal(parseConfig({ POSTHASTE_DATA: path }).dataFolder, path);
  });
}
