/** The chart in deploy/helm: what it renders is valid for Kubernetes, and says to the programs what they understand. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { parseConfig } from "@posthaste/shared/domain/config.ts";
import { parseDistributed } from "@posthaste/shared/domain/distributed-config.ts";
import { parsePortal } from "@posthaste/shared/domain/portal-config.ts";
import { SETTINGS } from "@posthaste/shared/domain/unknown-settings.ts";
import { requireHelm } from "../support/services/helm-binary.ts";
import { KUBERNETES_VERSIONS, validateResources } from "../support/services/kubernetes-schemas.ts";
import { openTemporaryFolder } from "../support/services/temporary-folder.ts";

const ROOT = join(import.meta.dirname, "../..");
const CHART = join(ROOT, "deploy/helm/posthaste");
const read = (path: string): string => readFileSync(join(ROOT, path), "utf8");
const folder = openTemporaryFolder("chart");
after(() => folder[Symbol.dispose]());

type Tree = Readonly<Record<string, unknown>>;

const MASTER_KEY = Buffer.alloc(32, 7).toString("base64");
const NEEDED: Tree = {
  image: { repository: "registry.example.com/posthaste" },
  secrets: { masterKey: MASTER_KEY, redisUrl: "redis://redis:6379" },
  kafka: { brokers: "kafka:9092" },
};
const PROMETHEUS = "http://prometheus:9090";

/** Each with the kinds that it renders, those of others marked by their group. */
const SETS: Readonly<Record<string, { readonly values: Tree; readonly kinds: readonly string[] }>> = {
  "what is needed and no more": {
    values: NEEDED,
    kinds: [
      "Deployment gateway",
      "Deployment processor",
      "PodDisruptionBudget gateway",
      "PodDisruptionBudget processor",
      "Secret settings",
      "Service gateway",
      "Service processor",
      "ServiceAccount settings",
    ],
  },
  "everything, scaled by KEDA": {
    values: {
      ...NEEDED,
      secrets: undefined,
      existingSecret: "mine",
      image: { repository: "registry.example.com/posthaste", digest: `sha256:${"a".repeat(64)}` },
      imagePullSecrets: [{ name: "registry" }],
      redis: { shards: 16, prefix: "ph:", spoolMib: 1024 },
      kafka: { brokers: "kafka:9092", tls: true, saslMechanism: "scram-sha-512", partitions: 24 },
      caCerts: { existingConfigMap: "authorities" },
      portalLogo: { existingConfigMap: "logo", key: "acme.webp" },
      settings: { LOG_LEVEL: "debug", LOG_DELIVERIES: false, IDEMPOTENCY_GIB: 2, OTEL_TRACES_SAMPLER_ARG: 0.1 },
      gateway: { processes: 4, autoscaling: { enabled: true }, podAnnotations: { a: "b" }, nodeSelector: { a: "b" } },
      processor: { autoscaling: { kind: "keda", maxReplicas: 24, prometheusAddress: PROMETHEUS, lag: { low: null } } },
      monitoring: { serviceMonitor: { enabled: true, labels: { release: "p" } }, prometheusRule: { enabled: true } },
    },
    kinds: [
      "Deployment gateway",
      "Deployment processor",
      "HorizontalPodAutoscaler gateway",
      "PodDisruptionBudget gateway",
      "PodDisruptionBudget processor",
      "PrometheusRule settings",
      "ScaledObject processor",
      "Service gateway",
      "Service processor",
      "ServiceAccount settings",
      "ServiceMonitor gateway",
      "ServiceMonitor processor",
    ],
  },
  "scaled by external metrics": {
    values: { ...NEEDED, processor: { autoscaling: { kind: "hpa" } }, serviceAccount: { create: false } },
    kinds: [
      "Deployment gateway",
      "Deployment processor",
      "HorizontalPodAutoscaler processor",
      "PodDisruptionBudget gateway",
      "PodDisruptionBudget processor",
      "Secret settings",
      "Service gateway",
      "Service processor",
    ],
  },
  "one process": {
    values: {
      mode: "embedded",
      image: { repository: "posthaste" },
      embedded: { persistence: { storageClass: "ssd" } },
    },
    kinds: ["Service embedded", "ServiceAccount settings", "StatefulSet embedded"],
  },
};

function helm(words: readonly string[], values: Tree) {
  const file = join(folder.path, "values.json");
  writeFileSync(file, JSON.stringify(values));
  const { status, stdout, stderr, error } = spawnSync(requireHelm(), [...words, "-f", file], {
    env: { PATH: "/usr/bin:/bin", HOME: folder.path },
    encoding: "utf8",
    timeout: 60_000,
  });
  return { status, stdout, output: `${error?.message ?? ""}${stdout}${stderr}` };
}

function render(values: Tree): string {
  const { status, stdout, output } = helm(["template", "release", CHART], values);
  assert.equal(status, 0, output);
  return stdout;
}

interface Resource {
  readonly kind: string;
  readonly component: string;
  readonly spec: Tree;
}

function resourcesOf(text: string): readonly Resource[] {
  return text.split(/^---$/m).flatMap((part) => {
    const tree = Bun.YAML.parse(part) as {
      kind: string;
      spec: Tree;
      metadata: { labels: Readonly<Record<string, string>> };
    } | null;
    if (tree === null) return [];
    return [{ kind: tree.kind, spec: tree.spec, component: tree.metadata.labels["app.kubernetes.io/component"] ?? "" }];
  });
}

interface Variable {
  readonly name: string;
  readonly value?: unknown;
  readonly valueFrom?: {
    readonly secretKeyRef: { readonly name: string; readonly key: string; readonly optional?: true };
  };
}

interface Pod {
  readonly terminationGracePeriodSeconds: number;
  readonly containers: readonly [{ readonly args: readonly string[]; readonly env: readonly Variable[] } & Tree];
}

function podsOf(values: Tree): ReadonlyMap<string, Pod & Tree> {
  const withPods = resourcesOf(render(values)).filter(({ kind }) => /^(?:Deployment|StatefulSet)$/.test(kind));
  const podOf = ({ template }: Tree): Pod & Tree => (template as { readonly spec: Pod & Tree }).spec;
  return new Map(withPods.map(({ component, spec }) => [component, podOf(spec)]));
}

for (const [name, { values, kinds }] of Object.entries(SETS)) {
  test(`${name}: helm lint takes it, and what is rendered fits Kubernetes' schemas, old and new`, () => {
    const linted = helm(["lint", "--strict", CHART], values);
    assert.equal(linted.status, 0, linted.output);
    const text = render(values);
    const rendered = resourcesOf(text).map(({ kind, component }) => `${kind} ${component}`);
    assert.deepEqual(rendered.toSorted(), kinds);
    const file = join(folder.path, "rendered.yaml");
    writeFileSync(file, text);
    const others = kinds.filter((kind) => /^(?:PrometheusRule|ScaledObject|ServiceMonitor) /.test(kind)).length;
    for (const version of KUBERNETES_VERSIONS) {
      const said = validateResources(file, version);
      assert.equal(said.filter((line) => line.includes(" passed for ")).length, kinds.length - others, said.join("\n"));
      assert.equal(said.filter((line) => line.includes("find schema for")).length, others, said.join("\n"));
    }
  });

  test(`${name}: each variable is a setting, given once, and the programs read what is said`, () => {
    for (const [component, pod] of podsOf(values)) {
      const { env } = pod.containers[0];
      const names = env.map((variable) => variable.name);
      assert.equal(new Set(names).size, names.length, names.join(" "));
      for (const variable of names)
        assert.ok(SETTINGS.includes(variable) || /^OTEL_|^NODE_EXTRA_CA_CERTS$/.test(variable), variable);
      const secret: Tree = {
        POSTHASTE_MASTER_KEY: MASTER_KEY,
        REDIS_URL: "redis://redis",
        KAFKA_SASL_USERNAME: "u",
        KAFKA_SASL_PASSWORD: "p",
      };
      const given = env.flatMap(({ name: key, value }) => {
        assert.ok(value === undefined || typeof value === "string", `${key} is a text`);
        const text = value ?? secret[key];
        return text === undefined ? [] : [[key, text]];
      });
      const environment = Object.fromEntries(given) as Readonly<Record<string, string>>;
      const config = parseConfig(environment);
      assert.equal(
        component === "processor" ? config.processorPort : config.port,
        component === "processor" ? 8081 : 8080,
      );
      if (component !== "embedded") parseDistributed(environment);
      else assert.equal(config.dataFolder, "/data");
    }
  });

  test(`${name}: no pod runs as root, writes but to its volumes, or gains a right; each is probed at its port`, () => {
    for (const [component, pod] of podsOf(values)) {
      const [container] = pod.containers;
      assert.equal((pod["securityContext"] as Tree)["runAsNonRoot"], true);
      assert.equal(pod["automountServiceAccountToken"], false);
      assert.equal(pod["enableServiceLinks"], false);
      assert.deepEqual(container["securityContext"], {
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ["ALL"] },
      });
      assert.deepEqual(container["ports"], [{ name: "http", containerPort: component === "processor" ? 8081 : 8080 }]);
      const paths = ["startupProbe", "livenessProbe", "readinessProbe"].map(
        (probe) => (container[probe] as { readonly httpGet: Tree }).httpGet,
      );
      assert.deepEqual(
        paths,
        ["/livez", "/livez", "/readyz"].map((path) => ({ path, port: "http" })),
      );
    }
  });
}

test("the programs are npm scripts, as the image starts them, and Kubernetes waits for the longest stop", () => {
  const { scripts } = JSON.parse(read("package.json")) as { readonly scripts: Readonly<Record<string, string>> };
  const stopMsMax = Number(/STOP_MS_MAX = ([\d_]+)/.exec(read("shared/runtime/entry.ts"))?.[1]?.replaceAll("_", ""));
  const pods = [...podsOf(NEEDED), ...podsOf(SETS["one process"]?.values ?? {})];
  assert.deepEqual(
    pods.map(([, { containers }]) => containers[0].args),
    [["gateway"], ["processor"], ["serve"]],
  );
  for (const [component, { containers, terminationGracePeriodSeconds }] of pods) {
    assert.ok(scripts[containers[0].args[0] ?? ""] !== undefined, component);
    assert.ok(stopMsMax > 0 && terminationGracePeriodSeconds * 1000 > stopMsMax, component);
  }
});

test("processors are scaled by the age and the lag of each queue, by metrics that are there", () => {
  const scalers = ["everything, scaled by KEDA", "scaled by external metrics"].map((name) =>
    resourcesOf(render(SETS[name]?.values ?? {})).find(
      ({ kind, component }) => component === "processor" && /^(?:ScaledObject|HorizontalPodAutoscaler)$/.test(kind),
    ),
  );
  const [keda = "", hpa = ""] = scalers.map((scaler) => JSON.stringify(scaler?.spec));
  for (const queue of ["high", "medium", "low", "retry"]) {
    assert.ok(keda.includes(`max(posthaste_queue_lag_seconds{queue=\\"${queue}\\",namespace=\\"default\\"})`), keda);
    assert.ok(
      hpa.includes(`"name":"posthaste_queue_lag_seconds","selector":{"matchLabels":{"queue":"${queue}"}}`),
      hpa,
    );
  }
  assert.ok(keda.includes("lag-high") && !keda.includes("lag-low"), "a trigger that is null is left out");
  for (const metric of ["queue.lag", "queue.depth"])
    assert.ok(read("docs/operations.md").includes(`| \`posthaste.${metric}\` | gauge |`), metric);
});

test("counts of processes are the most that may run, so that a rate limit is never passed together", () => {
  const counts = (values: Tree) =>
    (podsOf(values).get("gateway")?.containers[0].env ?? []).filter(({ name }) => name.endsWith("_COUNT"));
  assert.deepEqual(
    counts(NEEDED).map(({ value }) => value),
    ["2", "2"],
  );
  assert.deepEqual(
    counts(SETS["everything, scaled by KEDA"]?.values ?? {}).map(({ value }) => value),
    ["24", "24"],
  );
});

test("the portal's logo is a file of the ConfigMap, read alone, in what serves the portal and in no processor", () => {
  const portalLogo = { existingConfigMap: "logo", key: "acme.webp" };
  const embedded = { ...SETS["one process"]?.values, portalLogo };
  const pods = [...podsOf({ ...NEEDED, portalLogo }), ...podsOf(embedded)];
  const told = pods.map(([component, { containers, volumes }]) => {
    const [{ env, volumeMounts }] = containers;
    const path = env.find(({ name }) => name === "PORTAL_LOGO")?.value;
    const mounted = (volumeMounts as readonly Tree[]).filter(({ mountPath }) => mountPath === "/portal-logo");
    const maps = (volumes as readonly Tree[]).filter(({ name }) => name === "portal-logo");
    return [component, path, mounted, maps];
  });
  const mount = { name: "portal-logo", mountPath: "/portal-logo", readOnly: true };
  const volume = { name: "portal-logo", configMap: { name: "logo" } };
  assert.deepEqual(told, [
    ["gateway", "/portal-logo/acme.webp", [mount], [volume]],
    ["processor", undefined, [], []],
    ["embedded", "/portal-logo/acme.webp", [mount], [volume]],
  ]);
  assert.equal(parsePortal({ PORTAL_LOGO: "/portal-logo/acme.webp" }).portal.logoPath, "/portal-logo/acme.webp");
  assert.doesNotMatch(render(NEEDED), /portal-logo|PORTAL_LOGO/, "nothing without one");
});

test("a value that is missing or cannot be is named, and what to do", () => {
  for (const [values, says] of [
    [{ ...NEEDED, image: {} }, /image\.repository is missing/],
    [{ ...NEEDED, kafka: {} }, /kafka\.brokers is missing/],
    [
      { ...NEEDED, secrets: { redisUrl: "redis://redis" } },
      /secrets\.masterKey is missing, or existingSecret with POSTHASTE_MASTER_KEY/,
    ],
    [
      { ...NEEDED, secrets: { masterKey: MASTER_KEY } },
      /secrets\.redisUrl is missing, or existingSecret with REDIS_URL/,
    ],
    [{ ...NEEDED, kafka: { brokers: "k:1", saslMechanism: "plain" } }, /secrets\.kafkaSaslUsername is missing/],
    [
      { ...NEEDED, processor: { autoscaling: { kind: "keda" } } },
      /processor\.autoscaling\.prometheusAddress is missing/,
    ],
    [{ ...NEEDED, processor: { replicas: 7 } }, /processor\.replicas is 7 and kafka\.partitions is 6/],
    [{ ...NEEDED, settings: { LOG_LEVL: "info" } }, /'LOG_LEVL' not allowed/],
    [{ ...NEEDED, portalLogo: { existingConfigMap: "logo", key: "logo.svg" } }, /'\/portalLogo\/key'/],
    [{ ...NEEDED, gatway: {} }, /'gatway' not allowed/],
    [{ ...NEEDED, mode: "single" }, /'\/mode'.*value must be one of 'distributed', 'embedded'/],
    [{ ...NEEDED, secrets: { masterKey: "short", redisUrl: "redis://redis" } }, /'\/secrets\/masterKey'/],
  ] as const) {
    const { status, output } = helm(["template", "release", CHART], values);
    assert.equal(status, 1, output);
    assert.match(output, says);
  }
});

test("further settings are those that the chart does not give itself", () => {
  const { properties } = JSON.parse(readFileSync(join(CHART, "values.schema.json"), "utf8")) as {
    readonly properties: { readonly settings: { readonly properties: Tree } };
  };
  const given = new Set(
    Object.values(SETS).flatMap(({ values }) => {
      const pods = [...podsOf({ ...values, settings: {} }).values()];
      return pods.flatMap(({ containers }) => containers[0].env.map(({ name }) => name));
    }),
  );
  assert.deepEqual(
    Object.keys(properties.settings.properties).toSorted(),
    SETTINGS.filter((name) => !given.has(name)).toSorted(),
  );
});

test("the chart has the version of the programs, and the alert rules of docs/monitoring", () => {
  const { version } = JSON.parse(read("cli/package.json")) as { readonly version: string };
  const chart = Bun.YAML.parse(read("deploy/helm/posthaste/Chart.yaml")) as Tree;
  assert.deepEqual([chart["version"], chart["appVersion"]], [version, version]);
  const rules = read("deploy/helm/posthaste/files/posthaste.rules.yml");
  assert.equal(rules, read("docs/monitoring/posthaste.rules.yml"), "run: bun test/docs/write-monitoring.ts");
});

/** Helm shows them after an installation alone: as a resource of a copy of the chart they are rendered without a cluster. */
function notesOf(values: Tree): string {
  const copy = join(folder.path, "copy");
  cpSync(CHART, copy, { recursive: true });
  const notes = readFileSync(join(CHART, "templates/NOTES.txt"), "utf8");
  const shown = `{{- define "shown" }}${notes}{{ end }}\nshown: {{ include "shown" . | quote }}\n`;
  writeFileSync(join(copy, "templates/shown.yaml"), shown);
  const { status, stdout, output } = helm(["template", "release", copy, "-s", "templates/shown.yaml"], values);
  assert.equal(status, 0, output);
  return (Bun.YAML.parse(stdout) as { readonly shown: string }).shown;
}

test("what Helm says at the end names the service, and where an operator key is found that nobody gave", () => {
  for (const { values } of Object.values(SETS)) {
    const notes = notesOf(values);
    const isEmbedded = values["mode"] === "embedded";
    assert.ok(notes.includes(`service/release-posthaste${isEmbedded ? "" : "-gateway"} 8080:80\n`), notes);
    assert.equal(/kubectl .* logs /.test(notes), values["existingSecret"] === undefined, notes);
    assert.equal(notes.includes("master.key"), isEmbedded, notes);
  }
});
