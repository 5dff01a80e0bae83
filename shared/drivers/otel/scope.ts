/** Who made what is exported ("Instrumentation Scope"). */
export const SCOPE = { name: "posthaste" };
