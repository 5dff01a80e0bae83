import { join } from "node:path";
import { exampleTests } from "./example-programs.ts";

const folder = join(import.meta.dirname, "../../examples/typescript");

exampleTests({
  name: "TypeScript",
  runner: () => process.execPath,
  publisher: join(folder, "publisher.ts"),
  receiver: join(folder, "receiver.ts"),
});
