/** The version of the program, as its telemetry tells it; that of every package of ours. */
export const VERSION = "0.1.0";
