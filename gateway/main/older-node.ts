/** Bundled by `npm run build:node`: Node 20 or newer. What the source uses and Node 20 has not comes from core-js, before all else. */
import "core-js/actual/async-disposable-stack/index.js";
import "core-js/actual/disposable-stack/index.js";
import "core-js/actual/iterator/index.js";
import "core-js/actual/map/group-by.js";
import "core-js/actual/promise/with-resolvers.js";
import "core-js/actual/set/index.js";

import "./node.ts";
