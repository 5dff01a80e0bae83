/** Every command, in the order of the help. */
import type { Command } from "../words/command.ts";
import { check } from "./check.ts";
import { completion } from "./completion.ts";
import { deadLetters } from "./dead-letters.ts";
import { endpoints } from "./endpoints.ts";
import { eventTypes } from "./event-types.ts";
import { events } from "./events.ts";
import { keys } from "./keys.ts";
import { listen } from "./listen.ts";
import { programs } from "./programs.ts";
import { publish } from "./publish.ts";
import { tail } from "./tail.ts";
import { upkeep } from "./upkeep.ts";

const calls = [...publish, ...events, ...eventTypes, ...endpoints, ...keys, ...deadLetters, ...tail, ...listen];

export const commands: readonly Command[] = [...programs, ...upkeep, ...check, ...completion(() => commands), ...calls];
