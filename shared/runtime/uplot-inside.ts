/** For Bun's bundler: the files of uPlot as part of the bundle, which has none beside it. */
import type { BunPlugin } from "bun";

export const uplotInside: BunPlugin = {
  name: "uplot-inside",
  setup(build) {
    build.onLoad({ filter: /runtime\/uplot-source\.ts$/ }, () => ({
      contents: `import script from "uplot/dist/uPlot.iife.min.js" with { type: "text" };
import style from "uplot/dist/uPlot.min.css" with { type: "text" };
import license from "uplot/LICENSE" with { type: "text" };
export const uplotSource = () => ({ script, style, license });`,
      loader: "js",
    }));
  },
};
