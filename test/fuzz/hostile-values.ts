/**
 * Values as JSON texts, not as JavaScript: only a text can be a number beyond doubles, a member given twice, or half a
 * surrogate pair. Each function draws one; many are right, so that what lies behind the checks is reached as well.
 */
import type { Chance } from "../simulation/chance.ts";

export type Draw = (chance: Chance) => string;

const quote = (text: string): string => JSON.stringify(text);

const texts = [
  "",
  " ",
  "a",
  "a.b",
  "order.paid",
  "default",
  "operator",
  "*",
  "***",
  "__proto__",
  "constructor",
  "null",
  "../../etc/passwd",
  "%00",
  "'; DROP TABLE events; --",
  "a\u0000b",
  "\u202e\u2066",
  "\u{1f600}".repeat(40),
  "é".normalize("NFD"),
  "x".repeat(64),
  "x".repeat(65),
  "x".repeat(129),
  "x".repeat(2100),
  "a..b",
  ".a",
  "a.",
  "a\nb",
  "a\r\nx: y",
  "{s0}",
  "a:b",
  "-1",
  "1e9",
];

/** With no quotes around them: raw escapes that JSON.stringify would not write. */
const rawStrings = ['"\\ud800"', '"\\udfff\\ud800"', '"a\\u0000b"', '"\\/"', '"\\u0041"', '"\\ud83d\\ude00"'];

export const anyString: Draw = (chance) => {
  if (chance.isTrue(0.15)) return chance.pick(rawStrings);
  if (chance.isTrue(0.02)) return quote("y".repeat(chance.magnitude(1000, 60_000)));
  return quote(chance.pick(texts));
};

const numbers = [
  "0",
  "-0",
  "1",
  "-1",
  "2",
  "10",
  "100",
  "1000",
  "1001",
  "100000",
  "86400000",
  "86400001",
  "0.5",
  "1.0",
  "1e0",
  "1e2",
  "1e308",
  "1e400",
  "-1e400",
  "9007199254740993",
  "5e-324",
  "0.30000000000000004",
  "123456789012345678901234567890",
];
export const anyNumber: Draw = (chance) => chance.pick(numbers);

const instants = [
  "2026-02-01T00:00:00Z",
  "2026-01-31t12:00:00.123456789z",
  "2026-01-31T12:00:00+05:30",
  "2016-12-31T23:59:60Z",
  "2016-12-31T18:59:60-05:00",
  "0000-01-01T00:00:00Z",
  "0000-01-01T00:00:00+23:59",
  "0001-01-01T00:00:00Z",
  "9999-12-31T23:59:59.999Z",
  "9999-12-31T23:59:59-23:59",
  "10000-01-01T00:00:00Z",
  "+010000-01-01T00:00:00Z",
  "-000001-01-01T00:00:00Z",
  "2026-02-29T00:00:00Z",
  "2028-02-29T00:00:00Z",
  "2026-01-31T24:00:00Z",
  "2026-01-31T12:60:00Z",
  "2026-01-31T12:00:00+24:00",
  "2026-01-31T12:00:00",
  "2026-01-31 12:00:00Z",
  "1970-01-01T00:00:00Z",
  "1969-12-31T23:59:59.999Z",
  "now",
];
/** Around now as well, where times decide something. */
export const anyInstantText = (chance: Chance): string => {
  if (chance.isTrue(0.35)) return chance.pick(instants);
  const awayMs = chance.magnitude(1, 40 * 24 * 3600_000) * (chance.isTrue(0.5) ? 1 : -1);
  return new Date(Date.now() + awayMs).toISOString();
};
export const anyInstant: Draw = (chance) => quote(anyInstantText(chance));

const urls = [
  "https://inside.inside.test/",
  "https://silent.silent.test/",
  "https://none.none.test/hook?a=b",
  "http://127.0.0.1:0/",
  "http://127.0.0.1:65536/",
  "http://10.0.0.1/",
  "http://[::1]/",
  "http://[fe80::1%25eth0]/",
  "http://[fe80::1%eth0]/",
  "http://[::ffff:10.0.0.1]/",
  "http://0x7f.1/",
  "http://2130706433/",
  "http://user:pw@127.0.0.1/",
  "http://@127.0.0.1/",
  "http://a\u0000b/",
  "http://127.0.0.1\\@evil.test/",
  "https://b\u00fccher.none.test/",
  "https://xn--bcher-kva.none.test/",
  "https://\u{1f4a9}.none.test/",
  "https://a.none.test./",
  "https://none.test/#frag",
  "https://none.test/\u0000",
  "https://none.test/ a b",
  "https://none.test/%zz?q=%",
  "ftp://none.test/",
  "javascript:alert(1)",
  "//none.test/",
  "https://",
  "http://a".padEnd(300, "a"),
  `https://none.test/${"p".repeat(2030)}`,
  `https://none.test/${"p".repeat(2031)}`,
  `https://none.test/${"\u00e9".repeat(500)}`,
  "HTTPS://NONE.TEST/Path",
  "http://127.1/",
  "http://[v1.x]/",
];

/** `receiver`: where a receiver listens that answers as the path says. */
export const anyUrl = (chance: Chance, receiver: string): string => {
  if (chance.isTrue(0.55)) return quote(`${receiver}/${chance.pick(["ok", "ok", "ok", "fail", "gone", "later"])}`);
  return chance.isTrue(0.1) ? anyString(chance) : quote(chance.pick(urls));
};

const headerNames = ["x-a", "X-A", "x-b", "authorization", "Host", "content-type", "content-encoding", "expect", "te"];
const oddHeaderNames = ["", "x a", "x:", "__proto__", "constructor", "\u00e9", "webhook-id", "proxy-x", "if-match"];
const headerValues = ["a", "", "***", " x ", "a\r\nb: c", "\u00e9", "x".repeat(1024), "x".repeat(1025), "\u0000"];

export const anyHeaders: Draw = (chance) => {
  const count = chance.isTrue(0.05) ? 25 : chance.whole(0, 3);
  const members = Array.from({ length: count }, (_, index) => {
    const known = chance.isTrue(0.8) ? chance.pick(headerNames) : chance.pick(oddHeaderNames);
    const name = count > 20 ? `x-${index}` : known;
    const value = chance.isTrue(0.1) ? anyValue(chance) : quote(chance.isTrue(0.5) ? "v" : chance.pick(headerValues));
    return `${quote(name)}:${value}`;
  });
  return `{${members.join(",")}}`;
};

const leaves = ["true", "false", "null", "{}", "[]", "[[]]", '{"a":1}', '{"a":1,"a":2}', '{"__proto__":{"a":1}}'];

/** Any JSON text at all, right or wrong where it stands. */
export const anyValue: Draw = (chance) => {
  const kind = chance.fraction();
  if (kind < 0.3) return anyString(chance);
  if (kind < 0.5) return anyNumber(chance);
  if (kind < 0.85) return chance.pick(leaves);
  if (kind < 0.9) return deep(chance.pick([3, 60, 63, 64, 65, 66, 500, 20_000]), chance.isTrue(0.5));
  if (kind < 0.95) return `[${Array.from({ length: chance.whole(1, 40) }, () => anyNumber(chance)).join(",")}]`;
  return `{${anyString(chance)}:${anyString(chance)},${anyString(chance)}:${anyNumber(chance)}}`;
};

function deep(levels: number, isList: boolean): string {
  return isList ? "[".repeat(levels) + "]".repeat(levels) : '{"a":'.repeat(levels) + "1" + "}".repeat(levels);
}
