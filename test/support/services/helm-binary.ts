/** Helm, built once from its own module into a folder that git ignores: a later run finds it there. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { GO_PATH, requireGo } from "./debian-packages.ts";

const VERSION = "v3.22.0";
/** Of Kubernetes, for which it renders when no cluster is asked. Its own builds say so in the same way. */
const KUBERNETES = { major: 1, minor: 33 };
const BUILD_WITHIN_MS = 1_200_000;

const cache = join(import.meta.dirname, "../../../node_modules/.cache/posthaste-helm");
const flags = Object.entries(KUBERNETES).map(
  ([part, number]) => `-X helm.sh/helm/v3/pkg/chartutil.k8sVersion${part === "major" ? "Major" : "Minor"}=${number}`,
);

/** Its path. Builds it when it is not there, in a few minutes, saying so; throws with the remedy when it cannot. */
export function requireHelm(): string {
  const binary = join(cache, `helm-${VERSION.slice(1)}-${KUBERNETES.minor}`);
  if (!existsSync(binary)) build(binary);
  return binary;
}

/** Into a folder of its own, renamed at the end: a build that was broken off leaves nothing that looks whole. */
function build(binary: string): void {
  requireGo();
  console.log(`building Helm ${VERSION} (a few minutes, kept in node_modules/.cache)`);
  mkdirSync(cache, { recursive: true });
  const folder = mkdtempSync(join(cache, "build-"));
  try {
    const words = ["install", "-ldflags", ["-s -w", ...flags].join(" "), `helm.sh/helm/v3/cmd/helm@${VERSION}`];
    const { status, stdout, stderr } = spawnSync("go", words, {
      cwd: folder,
      env: { ...process.env, PATH: `${process.env["PATH"] ?? ""}:${GO_PATH}`, GOBIN: folder, GOTOOLCHAIN: "auto" },
      stdio: ["ignore", "pipe", "pipe"],
      encoding: "utf8",
      timeout: BUILD_WITHIN_MS,
    });
    if (status !== 0) {
      const remedy = "give Go a way to its module proxy (GOPROXY), or a newer Go";
      throw new Error(`Helm ${VERSION} could not be built: ${remedy}\n${(stdout + stderr).slice(-2_000)}`);
    }
    // Another run may have been quicker; its binary is the same.
    if (!existsSync(binary)) renameSync(join(folder, "helm"), binary);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
