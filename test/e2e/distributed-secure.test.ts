/** Redis and Kafka behind TLS and logins: events arrive, and a wrong login or an unknown authority is named. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { freePorts } from "../support/services/free-ports.ts";
import type { Kafka } from "../support/services/kafka.ts";
import { startKafka } from "../support/services/kafka.ts";
import type { RedisServer } from "../support/services/redis.ts";
import { startRedis } from "../support/services/redis.ts";
import { openTemporaryFolder } from "../support/services/temporary-folder.ts";
import { openReceiver } from "../support/receiver.ts";
import { waitFor } from "../support/services/wait-for.ts";
import { complaintOf } from "./complaint.ts";
import { openDistributedHarness, prefixEnv } from "./distributed-harness.ts";

const LOGIN = { username: "posthaste", password: "the-right-one" } as const;
const tls = join(import.meta.dirname, "../support/tls");
const authority = join(tls, "authority.pem");

let redis: RedisServer;
let kafka: Kafka;
let env: Record<string, string>;
const opened = new AsyncDisposableStack();

before(async () => {
  const [redisPort = 0, kafkaPort = 0] = await freePorts(2);
  const keyFile = join(opened.use(openTemporaryFolder("secure")).path, "key-and-certificate.pem");
  writeFileSync(
    keyFile,
    ["receiver-key.pem", "receiver.pem"].map((name) => readFileSync(join(tls, name), "utf8")).join(""),
  );
  redis = opened.use(
    await startRedis({
      password: "of-the-default-user",
      conf: [
        `tls-port ${redisPort}`,
        `tls-cert-file ${join(tls, "receiver.pem")}`,
        `tls-key-file ${join(tls, "receiver-key.pem")}`,
        `tls-ca-cert-file ${authority}`,
        "tls-auth-clients no",
        `user ${LOGIN.username} on >${LOGIN.password} ~* &* +@all`,
      ],
    }),
  );
  kafka = opened.use(await startKafka({ brokers: 1, secure: { ...LOGIN, port: kafkaPort, keyFile } }));
  env = {
    REDIS_URL: `rediss://${LOGIN.username}:${LOGIN.password}@127.0.0.1:${redisPort}`,
    KAFKA_BROKERS: `127.0.0.1:${kafkaPort}`,
    KAFKA_TLS: "true",
    KAFKA_SASL_MECHANISM: "scram-sha-512",
    KAFKA_SASL_USERNAME: LOGIN.username,
    KAFKA_SASL_PASSWORD: LOGIN.password,
    NODE_EXTRA_CA_CERTS: authority,
  };
});

after(() => opened.disposeAsync());

const prefixed = (): Record<string, string> => prefixEnv(`t${randomBytes(6).toString("hex")}`);

for (const mechanism of ["plain", "scram-sha-512"]) {
  test(`events of each priority arrive over TLS with logins, Kafka's by ${mechanism}`, async () => {
    const came: string[] = [];
    await using receiver = await openReceiver((_request, response, body) => {
      came.push((JSON.parse(body.toString()) as { data: { priority: string } }).data.priority);
      response.writeHead(204).end();
    });
    await using harness = await openDistributedHarness({
      gateways: 1,
      processors: 1,
      env: { ...env, KAFKA_SASL_MECHANISM: mechanism },
    });
    const created = await harness.ask(0, "/v1/endpoints", { url: receiver.url, event_types: ["*"] });
    assert.equal(created.status, 201, JSON.stringify(created.body));
    for (const priority of ["HIGH", "MEDIUM", "LOW"]) {
      const published = await harness.ask(0, "/v1/events", { type: "order.paid", priority, data: { priority } });
      assert.equal(published.status, 202, JSON.stringify(published.body));
    }
    await waitFor({ fact: "three events to come", withinMs: 90_000, holds: () => came.length >= 3 });
    assert.deepEqual(came.toSorted(), ["HIGH", "LOW", "MEDIUM"]);
  });
}

test("a wrong login is named without repeating it", async () => {
  const atKafka = await complaintOf({ ...env, ...prefixed(), KAFKA_SASL_PASSWORD: "the-wrong-one" });
  assert.match(atKafka, /KAFKA_SASL_USERNAME|KAFKA_SASL_PASSWORD/);
  const url = (env["REDIS_URL"] ?? "").replace(LOGIN.password, "the-wrong-one");
  const atRedis = await complaintOf({ ...env, ...prefixed(), REDIS_URL: url });
  assert.match(atRedis, /REDIS_URL/);
  for (const complaint of [atKafka, atRedis]) assert.doesNotMatch(complaint, /the-wrong-one|the-right-one/);
});

test("an authority that nobody knows is named, with the remedy", async () => {
  const { NODE_EXTRA_CA_CERTS: _authority, REDIS_URL: url = "", ...unknown } = env;
  const atKafka = await complaintOf({ ...unknown, ...prefixed(), REDIS_URL: redis.url });
  assert.match(atKafka, /KAFKA_BROKERS\) is not trusted: .*certificate.*NODE_EXTRA_CA_CERTS/i);
  const atRedis = await complaintOf({ REDIS_URL: url, KAFKA_BROKERS: kafka.brokers, ...prefixed() });
  assert.match(atRedis, /REDIS_URL\) is not trusted: .*certificate.*NODE_EXTRA_CA_CERTS/i);
});

test("a Kafka that wants TLS and does not get it is named, and one that does not want it", async () => {
  assert.match(await complaintOf({ ...env, ...prefixed(), KAFKA_TLS: "false" }), /KAFKA_TLS/);
  assert.match(await complaintOf({ ...env, ...prefixed(), KAFKA_BROKERS: kafka.brokers }), /KAFKA_TLS/);
});
