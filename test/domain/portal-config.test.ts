/** Settings of the portal: what is taken, and what each refusal says. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { logoType, parsePortal } from "@posthaste/shared/domain/portal-config.ts";

const plain = { url: null, origins: [], name: "Webhooks", colour: null, logoPath: null };

test("nothing set, or set to nothing, is a plain portal that nobody may frame", () => {
  for (const environment of [{}, { PORTAL_URL: "", PORTAL_ORIGINS: " ", PORTAL_NAME: "", PORTAL_LOGO: "" }]) {
    assert.deepEqual(parsePortal(environment), { portal: plain, problems: [] });
  }
});

test("each setting is read as it is meant", () => {
  const environment = {
    PORTAL_URL: "https://hooks.example.com",
    PORTAL_ORIGINS: "https://app.example.com, http://localhost:3000,http://[::1]:8080",
    PORTAL_NAME: " Acme Webhooks ",
    PORTAL_COLOUR: "#1D5FD1",
    PORTAL_LOGO: "/etc/posthaste/logo.PNG",
  };
  assert.deepEqual(parsePortal(environment), {
    portal: {
      url: "https://hooks.example.com",
      origins: ["https://app.example.com", "http://localhost:3000", "http://[::1]:8080"],
      name: "Acme Webhooks",
      colour: "#1d5fd1",
      logoPath: "/etc/posthaste/logo.PNG",
    },
    problems: [],
  });
});

const noOrigins = [
  "app.example.com",
  "https://app.example.com/",
  "https://app.example.com/portal",
  "https://*.example.com",
  "*",
  "'self'",
  "http://app.example.com",
  "http://localhost.example.com",
  "https://app.example.com:443",
  "https://APP.example.com",
  "https://a:b@app.example.com",
  "https://app.example.com; script-src *",
  "https://app.example.com;script-src",
  "https://app.example.com;",
  "https://app!.example.com",
  "https://app..example.com",
  "ftp://app.example.com",
  "null",
];
for (const origin of noOrigins) {
  test(`${origin} is refused as an origin, alone and in a list`, () => {
    assert.match(parsePortal({ PORTAL_URL: origin }).problems.join(), /^PORTAL_URL must be one origin, such as https:/);
    for (const text of [origin, `https://a.example,${origin}`, `https://a.example,`]) {
      assert.match(
        parsePortal({ PORTAL_ORIGINS: text }).problems.join(),
        /^PORTAL_ORIGINS must be 1 to 32 origins with commas between, each such as https:/,
      );
    }
  });
}

for (const [name, text, words] of [
  ["PORTAL_NAME", "a".repeat(41), /^PORTAL_NAME must have at most 40 characters$/],
  ["PORTAL_NAME", "Acme\u202Eskoohbew", /^PORTAL_NAME must be text on one line$/],
  ["PORTAL_NAME", "Acme\nHooks", /^PORTAL_NAME must be text on one line$/],
  ["PORTAL_COLOUR", "blue", /^PORTAL_COLOUR must be a colour as # and six hex digits, such as #1d5fd1$/],
  ["PORTAL_COLOUR", "#123", /^PORTAL_COLOUR must be a colour/],
  ["PORTAL_COLOUR", "#123456; } body { display: none", /^PORTAL_COLOUR must be a colour/],
  ["PORTAL_LOGO", "/etc/logo.svg", /^PORTAL_LOGO must be the path of a PNG, JPEG or WebP file on this machine$/],
  ["PORTAL_LOGO", "https://example.com/logo.png", /^PORTAL_LOGO must be the path/],
] as const) {
  test(`${name}=${JSON.stringify(text)} is refused by name`, () => {
    assert.match(parsePortal({ [name]: text }).problems.join("\n"), words);
  });
}

test("several that are wrong are all named, and more than 32 origins are too many", () => {
  const many = Array.from({ length: 33 }, (_, at) => `https://a${at}.example`).join(",");
  const { problems } = parsePortal({ PORTAL_URL: "x", PORTAL_ORIGINS: many, PORTAL_COLOUR: "x" });
  assert.deepEqual(
    problems.map((problem) => problem.split(" ")[0]),
    ["PORTAL_URL", "PORTAL_ORIGINS", "PORTAL_COLOUR"],
  );
});

test("a picture is known by its first bytes", () => {
  const ascii = (text: string): Uint8Array => Uint8Array.from(text, (letter) => letter.charCodeAt(0));
  assert.equal(logoType(ascii("\x89PNG\r\n\x1a\n....")), "image/png");
  assert.equal(logoType(ascii("\xff\xd8\xff\xe0....")), "image/jpeg");
  assert.equal(logoType(ascii("RIFF....WEBPVP8 ")), "image/webp");
  for (const other of ["", "\x89PN", "GIF89a..........", "<svg xmlns='x'/>", "RIFF....WAVEfmt "]) {
    assert.equal(logoType(ascii(other)), null, other);
  }
});
