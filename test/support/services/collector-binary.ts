/**
 * OpenTelemetry's own collector, built once by its own builder from Go's modules into a folder that git ignores: a later run
 * finds it there.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { GO_PATH, requireGo } from "./debian-packages.ts";

/** Later ones do not build with the file exporter: a module that its tests need does not resolve. */
const VERSION = "v0.161.0";
const BUILD_WITHIN_MS = 1_200_000;

const cache = join(import.meta.dirname, "../../../node_modules/.cache/posthaste-collector");

const MANIFEST = `dist:
  name: collector
  output_path: ./out
receivers:
  - gomod: go.opentelemetry.io/collector/receiver/otlpreceiver ${VERSION}
exporters:
  - gomod: go.opentelemetry.io/collector/exporter/debugexporter ${VERSION}
  - gomod: go.opentelemetry.io/collector/exporter/otlphttpexporter ${VERSION}
  - gomod: github.com/open-telemetry/opentelemetry-collector-contrib/exporter/fileexporter ${VERSION}
`;

/** Its path. Builds it when it is not there, in a few minutes, saying so; throws with the remedy when it cannot. */
export function requireCollector(): string {
  const parts = createHash("sha256").update(MANIFEST).digest("hex").slice(0, 8);
  const binary = join(cache, `collector-${VERSION.slice(1)}-${parts}`);
  if (!existsSync(binary)) build(binary);
  return binary;
}

/** Into a folder of its own, renamed at the end: a build that was broken off leaves nothing that looks whole. */
function build(binary: string): void {
  requireGo();
  console.log(`building the OpenTelemetry collector ${VERSION} (a few minutes, kept in node_modules/.cache)`);
  mkdirSync(cache, { recursive: true });
  const folder = mkdtempSync(join(cache, "build-"));
  try {
    writeFileSync(join(folder, "builder.yaml"), MANIFEST);
    const builder = `go.opentelemetry.io/collector/cmd/builder@${VERSION}`;
    const { status, stdout, stderr } = spawnSync("go", ["run", builder, "--config", "builder.yaml"], {
      cwd: folder,
      env: { ...process.env, PATH: `${process.env["PATH"] ?? ""}:${GO_PATH}`, GOTOOLCHAIN: "auto" },
      stdio: ["ignore", "pipe", "pipe"],
      encoding: "utf8",
      timeout: BUILD_WITHIN_MS,
    });
    if (status !== 0) {
      const remedy = "give Go a way to its module proxy (GOPROXY), or a newer Go";
      throw new Error(`the collector ${VERSION} could not be built: ${remedy}\n${(stdout + stderr).slice(-2_000)}`);
    }
    // Another run may have been quicker; its binary is the same.
    if (!existsSync(binary)) renameSync(join(folder, "out/collector"), binary);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
