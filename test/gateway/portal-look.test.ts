/** The look of the portal: text that can be read in any colour, and a logo that is a picture. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { brandStyle, contrastOf, readable, textOn } from "@posthaste/gateway/dashboard/brand.ts";
import { ConfigError } from "@posthaste/shared/domain/config.ts";
import { readPortalLook } from "@posthaste/shared/runtime/portal-look.ts";
import fc from "fast-check";
import { openFolder } from "../e2e/posthaste-child.ts";

const PNG = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 1, 2, 3);
const GROUNDS = { light: ["#ffffff", "#f6f7f9", "#eef1f4"], dark: ["#10141a", "#181e26", "#222b35"] } as const;

test("the contrast of two colours is that of WCAG", () => {
  assert.equal(contrastOf("#000000", "#ffffff"), 21);
  assert.equal(contrastOf("#777777", "#777777"), 1);
  assert.equal(contrastOf("#767676", "#ffffff").toFixed(2), "4.54");
});

test("whatever the colour, links and buttons can be read, light and dark", () => {
  const colours = fc.nat(0xffffff).map((number) => `#${number.toString(16).padStart(6, "0")}`);
  fc.assert(
    fc.property(colours, (colour) => {
      for (const scheme of ["light", "dark"] as const) {
        for (const ground of GROUNDS[scheme]) assert.ok(contrastOf(readable(colour, scheme), ground) >= 4.5, scheme);
      }
      assert.ok(contrastOf(textOn(colour), colour) >= 4.5);
    }),
    { examples: [["#ffffff"], ["#000000"], ["#ffff00"], ["#777777"], ["#0000ff"]] },
  );
});

test("a colour that can be read is left as it is, and none leaves the dashboard's", () => {
  assert.equal(readable("#1d5fd1", "light"), "#1d5fd1");
  assert.match(brandStyle({ colour: "#1d5fd1", logo: null }), /--accent: #1d5fd1; --main: #1d5fd1; --on-main: #ffffff/);
  assert.equal(brandStyle({ colour: null, logo: null }), "");
});

/** What a start says of a logo. */
function refusalOf(path: string): string {
  try {
    readPortalLook({ PORTAL_LOGO: path });
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error.message;
  }
  return "";
}

test("a logo is read once, as what it is; one that is none, too large or not there ends the start by name", () => {
  using folder = openFolder();
  const file = (name: string, content: Uint8Array | string): string => {
    const path = join(folder.path, name);
    writeFileSync(path, content);
    return path;
  };
  const { logo } = readPortalLook({ PORTAL_LOGO: file("logo.jpg", PNG) });
  assert.deepEqual(logo, { bytes: PNG, type: "image/png" });
  assert.match(
    refusalOf(file("no.png", "<svg/>")),
    /^PORTAL_LOGO must be a PNG, JPEG or WebP picture, and \S+ is none$/,
  );
  assert.match(refusalOf(file("empty.png", "")), /^PORTAL_LOGO must be a PNG/);
  const large = new Uint8Array(128 * 1024 + 1);
  large.set(PNG);
  assert.match(refusalOf(file("large.png", large)), /^PORTAL_LOGO must have at most 128 KiB, and \S+ has 129$/);
  assert.equal(refusalOf(file("full.png", large.subarray(0, 128 * 1024))), "");
  assert.match(refusalOf(join(folder.path, "gone.png")), /^PORTAL_LOGO cannot be read: ENOENT/);
  const pipe = join(folder.path, "pipe.png");
  execFileSync("mkfifo", [pipe]);
  assert.match(refusalOf(pipe), /^PORTAL_LOGO must be a file, and \S+ is none$/);
  assert.match(refusalOf("/dev.png/"), /^PORTAL_LOGO must be the path/);
});
