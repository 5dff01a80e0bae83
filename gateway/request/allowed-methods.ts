/** Which methods a path takes, for 405 and OPTIONS; asked only when no route fits. */

/** Null for a path that no route has. GET implies HEAD; every path takes OPTIONS. */
export function createAllowedMethods(
  routes: readonly { readonly method: string; readonly path: string }[],
): (path: string) => string | null {
  const templates = routes.map(({ method, path }) => ({ method, segments: path.split("/") }));
  return (path) => {
    const segments = path.split("/", 16);
    const found = templates.filter(({ segments: template }) => isMatch(template, segments)).map(({ method }) => method);
    if (found.length === 0) return null;
    const all = found.includes("GET") ? [...found, "HEAD", "OPTIONS"] : [...found, "OPTIONS"];
    return [...new Set(all)].toSorted().join(", ");
  };
}

function isMatch(template: readonly string[], segments: readonly string[]): boolean {
  if (template.length !== segments.length) return false;
  return template.every((part, index) => (part.startsWith(":") ? segments[index] !== "" : part === segments[index]));
}
