/** Answers about the process itself. */
import * as v from "valibot";

export const Alive = v.object({ status: v.literal("ok") });
export const Ready = v.object({
  status: v.literal("ready"),
  degraded: v.optional(v.pipe(v.array(v.string()), v.description("Stores that are away, and what takes over."))),
});
