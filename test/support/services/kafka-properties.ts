/** What a Kafka broker of the tests is told: small, quick to react, and no topic that nobody asked for. */

import type { SecureListener } from "./kafka.ts";

export interface BrokerPlace {
  /** From 1. */
  readonly id: number;
  readonly port: number;
  /** Of all brokers, by id - 1; each broker is a controller too. */
  readonly controllerPorts: readonly number[];
  /** Holds the data, in `data/`. */
  readonly folder: string;
  readonly secure?: SecureListener | undefined;
  /** Clients are sent to `advertised`, and the brokers among themselves use `own`. */
  readonly proxied?: { readonly advertised: number; readonly own: number } | undefined;
}

/** A broker that is silent for so long is fenced and its partitions get another leader; Kafka's own default is 9 s. */
const SESSION_TIMEOUT_MS = 3_000;
const HEARTBEAT_MS = 500;
/** Partitions of each internal topic: Kafka's 50 would cost three brokers seconds at their first use. */
const INTERNAL_PARTITIONS = 5;

/** Lines of server.properties. */
export function brokerProperties(place: BrokerPlace): readonly string[] {
  const { id, port, controllerPorts, folder, secure, proxied } = place;
  const ownDoor = proxied === undefined ? "" : `,BROKERS://127.0.0.1:${proxied.own}`;
  const secureDoor = secure === undefined ? "" : `,SECURE://127.0.0.1:${secure.port}`;
  const controllerPort = controllerPorts[id - 1];
  const replicas = controllerPorts.length;
  const inSyncMin = replicas > 1 ? 2 : 1;
  const voters = controllerPorts.map((each, index) => `${index + 1}@127.0.0.1:${each}`);
  return [
    "process.roles=broker,controller",
    `node.id=${id}`,
    `controller.quorum.voters=${voters.join(",")}`,
    `listeners=CLIENTS://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}${secureDoor}${ownDoor}`,
    `advertised.listeners=CLIENTS://127.0.0.1:${proxied?.advertised ?? port}${secureDoor}${ownDoor}`,
    "controller.listener.names=CONTROLLER",
    `inter.broker.listener.name=${proxied === undefined ? "CLIENTS" : "BROKERS"}`,
    "listener.security.protocol.map=CLIENTS:PLAINTEXT,BROKERS:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURE:SASL_SSL",
    ...(secure === undefined ? [] : secureProperties(secure)),
    `log.dirs=${folder}/data`,
    "auto.create.topics.enable=false",
    // As long as the longest retention of the topics, so that nothing is to be said of it.
    "offsets.retention.minutes=20160",
    "group.initial.rebalance.delay.ms=0",
    `broker.session.timeout.ms=${SESSION_TIMEOUT_MS}`,
    `broker.heartbeat.interval.ms=${HEARTBEAT_MS}`,
    `default.replication.factor=${replicas}`,
    `min.insync.replicas=${inSyncMin}`,
    `offsets.topic.replication.factor=${replicas}`,
    `offsets.topic.num.partitions=${INTERNAL_PARTITIONS}`,
    `transaction.state.log.replication.factor=${replicas}`,
    `transaction.state.log.min.isr=${inSyncMin}`,
    `transaction.state.log.num.partitions=${INTERNAL_PARTITIONS}`,
    `share.coordinator.state.topic.replication.factor=${replicas}`,
    `share.coordinator.state.topic.min.isr=${inSyncMin}`,
    `share.coordinator.state.topic.num.partitions=${INTERNAL_PARTITIONS}`,
    // The cleaner of compacted topics takes 128 MB of the heap by default.
    "log.cleaner.dedupe.buffer.size=8388608",
  ];
}

/** log4j2.properties: warnings, and the server's own words about its start. */
export const logProperties = `status=error
rootLogger.level=warn
rootLogger.appenderRef.out.ref=out
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d %p %c{1}: %m%n
logger.server.name=kafka.server.KafkaRaftServer
logger.server.level=info
`;

function secureProperties({ username, password, keyFile }: SecureListener): readonly string[] {
  const modules = "org.apache.kafka.common.security";
  return [
    "listener.name.secure.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512",
    `listener.name.secure.plain.sasl.jaas.config=${modules}.plain.PlainLoginModule required user_${username}="${password}";`,
    `listener.name.secure.scram-sha-512.sasl.jaas.config=${modules}.scram.ScramLoginModule required;`,
    "listener.name.secure.ssl.keystore.type=PEM",
    `listener.name.secure.ssl.keystore.location=${keyFile}`,
  ];
}
