/** What several processes have measured, as one text: each family once, each sample with its process's number as a label. */
import type { MetricsFormat } from "../../domain/metrics-format.ts";

interface Family {
  /** `# TYPE`, `# UNIT`, `# HELP`. */
  readonly head: readonly string[];
  readonly samples: string[];
}

/** `texts` by process, each as `exposition.ts` writes it in that format. */
export function mergedExposition(texts: ReadonlyMap<number, string>, format: MetricsFormat): string {
  const families = new Map<string, Family>();
  for (const [process, text] of texts) addTo(families, text, process);
  const lines = Array.from(families.values()).flatMap(({ head, samples }) => [...head, ...samples]);
  if (format === "openmetrics") lines.push("# EOF");
  return `${lines.join("\n")}\n`;
}

function addTo(families: Map<string, Family>, text: string, process: number): void {
  let head: string[] = [];
  let family: Family = { head, samples: [] };
  for (const line of text.split("\n")) {
    const named = /^# TYPE (\S+) /.exec(line)?.[1];
    if (named !== undefined) {
      head = [line];
      const known = families.get(named);
      family = known ?? { head, samples: [] };
      if (known === undefined) families.set(named, family);
    } else if (line.startsWith("# ")) {
      if (line !== "# EOF") head.push(line);
    } else if (line !== "") family.samples.push(labelled(line, process));
  }
}

function labelled(sample: string, process: number): string {
  const [name = ""] = /^[^{ ]+/.exec(sample) ?? [];
  const rest = sample.slice(name.length);
  const label = `process="${process}"`;
  return rest.startsWith("{") ? `${name}{${label},${rest.slice(1)}` : `${name}{${label}}${rest}`;
}
