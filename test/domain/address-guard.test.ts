import { strict as assert } from "node:assert";
import { isIP } from "node:net";
import { test } from "node:test";
import { checkAddress, checkUrlHost, parseAddress, parseCidrs } from "@posthaste/shared/domain/address-guard.ts";
import fc from "fast-check";

const none = parseCidrs("");

/** First and last address of each refused block, and what the reason says of them. */
const refused: readonly (readonly [first: string, last: string, reason: string])[] = [
  ["0.0.0.0", "0.255.255.255", "an address of this very network (0.0.0.0/8)"],
  ["10.0.0.0", "10.255.255.255", "a private address (10.0.0.0/8)"],
  ["100.64.0.0", "100.127.255.255", "a shared carrier address (100.64.0.0/10)"],
  ["127.0.0.0", "127.255.255.255", "a loopback address (127.0.0.0/8)"],
  ["168.63.129.16", "168.63.129.16", "the host agent of a cloud provider (168.63.129.16/32)"],
  ["169.254.0.0", "169.254.255.255", "a link-local address (169.254.0.0/16)"],
  ["172.16.0.0", "172.31.255.255", "a private address (172.16.0.0/12)"],
  ["192.0.0.0", "192.0.0.255", "a protocol assignment address (192.0.0.0/24)"],
  ["192.0.2.0", "192.0.2.255", "a documentation address (192.0.2.0/24)"],
  ["192.31.196.0", "192.31.196.255", "an AS112 anycast address (192.31.196.0/24)"],
  ["192.52.193.0", "192.52.193.255", "a multicast tunnel address (192.52.193.0/24)"],
  ["192.88.99.0", "192.88.99.255", "a 6to4 relay address (192.88.99.0/24)"],
  ["192.168.0.0", "192.168.255.255", "a private address (192.168.0.0/16)"],
  ["192.175.48.0", "192.175.48.255", "an AS112 anycast address (192.175.48.0/24)"],
  ["198.18.0.0", "198.19.255.255", "a benchmarking address (198.18.0.0/15)"],
  ["198.51.100.0", "198.51.100.255", "a documentation address (198.51.100.0/24)"],
  ["203.0.113.0", "203.0.113.255", "a documentation address (203.0.113.0/24)"],
  ["224.0.0.0", "239.255.255.255", "a multicast address (224.0.0.0/4)"],
  ["240.0.0.0", "255.255.255.254", "a reserved address (240.0.0.0/4)"],
  ["255.255.255.255", "255.255.255.255", "the broadcast address (255.255.255.255/32)"],
  ["::", "0:0:0:0:0:0:0:0", "the unspecified address (::/128)"],
  ["::1", "0:0:0:0:0:0:0.0.0.1", "a loopback address (::1/128)"],
  ["::2", "::ffff:ffff", "an IPv4-compatible address (::/96)"],
  ["::127.0.0.1", "::8.8.8.8", "an IPv4-compatible address (::/96)"],
  ["::ffff:0:7f00:1", "::ffff:0:8.8.8.8", "an IPv4-translated address (::ffff:0:0:0/96)"],
  ["64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", "a local NAT64 address (64:ff9b:1::/48)"],
  ["64:ff9b:1::808:808", "64:ff9b:1::8.8.8.8", "a local NAT64 address (64:ff9b:1::/48)"],
  ["100::", "100::ffff:ffff:ffff:ffff", "a discard address (100::/64)"],
  ["100:0:0:1::", "100:0:0:1:ffff:ffff:ffff:ffff", "a dummy prefix address (100:0:0:1::/64)"],
  ["2001::", "2001:0:ffff:ffff:ffff:ffff:ffff:ffff", "a Teredo address (2001::/32)"],
  ["2001:1::1", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", "a protocol assignment address (2001::/23)"],
  ["2001:2::", "2001:2:0:ffff:ffff:ffff:ffff:ffff", "a benchmarking address (2001:2::/48)"],
  ["2001:10::", "2001:1f:ffff:ffff:ffff:ffff:ffff:ffff", "an ORCHID address (2001:10::/28)"],
  ["2001:20::", "2001:2f:ffff:ffff:ffff:ffff:ffff:ffff", "an ORCHIDv2 address (2001:20::/28)"],
  ["2001:30::", "2001:3f:ffff:ffff:ffff:ffff:ffff:ffff", "a drone remote identification address (2001:30::/28)"],
  ["2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "a documentation address (2001:db8::/32)"],
  ["2002::", "2002:7f00:1::", "a 6to4 address (2002::/16)"],
  ["2620:4f:8000::", "2620:4f:8000:ffff:ffff:ffff:ffff:ffff", "an AS112 anycast address (2620:4f:8000::/48)"],
  ["3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", "a documentation address (3fff::/20)"],
  ["5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "a segment routing address (5f00::/16)"],
  ["fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "a unique local address (fc00::/7)"],
  ["fd00:ec2::254", "fd20:ce::254", "a unique local address (fc00::/7)"],
  ["fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "a link-local address (fe80::/10)"],
  ["fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "a site-local address (fec0::/10)"],
  ["ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "a multicast address (ff00::/8)"],
  ["64:ff9a::1", "4000::1", "not a global unicast address (outside 2000::/3)"],
  ["1fff:ffff::1", "e000::1", "not a global unicast address (outside 2000::/3)"],
];

for (const [first, last, reason] of refused) {
  test(`checkAddress() refuses ${first} to ${last} as ${reason}`, () => {
    assert.deepEqual(checkAddress(first, none), { kind: "forbidden", reason: `${first} is ${reason}` });
    assert.deepEqual(checkAddress(last, none), { kind: "forbidden", reason: `${last} is ${reason}` });
  });
}

/** Neighbours just outside the refused blocks, and well-known public hosts. */
const open =
  `1.0.0.0 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0 168.63.129.15 168.63.129.17
  169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 192.0.1.0 192.0.3.0 192.31.195.255 192.52.194.0 192.88.98.255
  192.88.100.0 192.167.255.255 192.169.0.0 192.175.49.0 198.17.255.255 198.20.0.0 198.51.99.255 198.51.101.0 203.0.112.255
  203.0.114.0 223.255.255.255 8.8.8.8 2000:: 2001:200:: 2001:db7:ffff::1 2001:db9:: 2003:: 2620:4f:7fff::1 2620:4f:8001::
  3ffe:ffff::1 3fff:1000:: 2606:4700:4700::1111 2a00:1450:4001:81b::200e`.split(/\s+/);

for (const address of open) {
  test(`checkAddress() allows the public address ${address}`, () => {
    assert.deepEqual(checkAddress(address, none), { kind: "allowed" });
  });
}

/** Forms that carry an IPv4 address; the verdict is that of the address within. */
const carriers = ["::ffff:", "0:0:0:0:0:FFFF:", "64:ff9b::", "0064:FF9B:0:0:0:0:"];

for (const carrier of carriers) {
  test(`checkAddress() judges ${carrier}a.b.c.d as the IPv4 address it carries`, () => {
    assert.deepEqual(checkAddress(`${carrier}8.8.8.8`, none), { kind: "allowed" });
    assert.deepEqual(checkAddress(`${carrier}808:808`, none), { kind: "allowed" });
    const reason = `${carrier}7f00:1 stands for 127.0.0.1, which is a loopback address (127.0.0.0/8)`;
    assert.deepEqual(checkAddress(`${carrier}7f00:1`, none), { kind: "forbidden", reason });
    assert.equal(checkAddress(`${carrier}169.254.169.254`, none).kind, "forbidden");
  });

  test(`an IPv4 entry of the allow-list admits its addresses within ${carrier}`, () => {
    const allow = parseCidrs("127.0.0.0/8");
    assert.deepEqual(checkAddress(`${carrier}127.0.0.1`, allow), { kind: "allowed" });
    assert.equal(checkAddress(`${carrier}10.0.0.1`, allow).kind, "forbidden");
  });
}

const noAddress =
  `fe80::1%eth0 fe80::1%25eth0 %31.2.3.4 [::1] 127.1 0x7f000001 2130706433 0177.0.0.1 010.0.0.1 00.0.0.0 1.2.3 1.2.3.4.5
  1.2.3.256 1.2.3.1000 1.2.3. .1.2.3 +1.2.3.4 1e1.0.0.1 1.2.3.-4 ::: 1:::2 1::2::3 :1:2:3:4:5:6:7:8 1:2:3:4:5:6:7:8:
  1:2:3:4:5:6:7 1:2:3:4:5:6:7:8:9 1:2:3:4:5:6:7:8:: ::1:2:3:4:5:6:7:8 1:2:3:4::5:6:7:8 12345:: g:: ::g ::1.2.3 ::01.2.3.4
  1.2.3.4:: ::1.2.3.4:5 1:2:3:4:5:6:7:1.2.3.4 ::-1 ::0x1 ::1/128 1.2.3.4/32 example.com ٣.1.1.1`.split(/\s+/);

for (const text of [...noAddress, "", " ", " 1.2.3.4", "1.2.3.4\n", "::1 ", ":: 1", "::1\u0000", "a".repeat(5000)]) {
  test(`parseAddress() refuses ${JSON.stringify(text.slice(0, 40))}, and so does checkAddress()`, () => {
    assert.equal(parseAddress(text), null);
    const verdict = checkAddress(text, parseCidrs("0.0.0.0/0, ::/0"));
    assert.ok(
      verdict.kind === "forbidden" && verdict.reason.endsWith(" is not an IP address") && verdict.reason.length < 200,
    );
  });
}

const sameAddress: readonly (readonly [text: string, bytes: readonly number[]])[] = [
  ["192.0.2.255", [192, 0, 2, 255]],
  ["::", Array<number>(16).fill(0)],
  ["1:2:3:4:5:6:7:8", [0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8]],
  ["::2:3:4:5:6:7:8", [0, 0, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8]],
  ["1:2:3:4:5:6:7::", [0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 0]],
  ["1:2:3::7:8", [0, 1, 0, 2, 0, 3, 0, 0, 0, 0, 0, 0, 0, 7, 0, 8]],
  ["ABCD:EF01:abcd:ef01:0:00:000:0000", [0xab, 0xcd, 0xef, 1, 0xab, 0xcd, 0xef, 1, 0, 0, 0, 0, 0, 0, 0, 0]],
  ["::ffff:1.2.3.4", [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 1, 2, 3, 4]],
  ["1:2:3:4:5:6:1.2.3.4", [0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 1, 2, 3, 4]],
  ["1::6:1.2.3.4", [0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 6, 1, 2, 3, 4]],
  ["ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", Array<number>(16).fill(255)],
];

for (const [text, bytes] of sameAddress) {
  test(`parseAddress() reads ${text}`, () => {
    assert.deepEqual([...(parseAddress(text) ?? [])], bytes);
  });
}

test("parseAddress() reads each IPv6 form that a generator writes, as the URL parser does", () => {
  fc.assert(
    fc.property(fc.ipV6(), (text) => {
      // Bun's URL parser refuses some dotted forms, such as 1::2:3:4:1.2.3.4.
      fc.pre(URL.canParse(`http://[${text}]/`));
      const bytes = parseAddress(text);
      assert.ok(bytes !== null && bytes.length === 16, text);
      const groups = Array.from({ length: 8 }, (_, at) =>
        ((bytes[at * 2] ?? 0) * 256 + (bytes[at * 2 + 1] ?? 0)).toString(16),
      );
      assert.equal(new URL(`http://[${text}]/`).hostname, new URL(`http://[${groups.join(":")}]/`).hostname);
    }),
    { numRuns: 500 },
  );
});

test("parseAddress() accepts exactly what node's isIP() accepts, zone ids aside", () => {
  const letters = fc.constantFrom(..."0123456789abf:::::.....%gx".split(""));
  const alike = fc.oneof(fc.string({ unit: letters, maxLength: 20 }), fc.ipV4(), fc.ipV6(), fc.ipV4Extended());
  fc.assert(
    fc.property(alike, (text) => {
      fc.pre(!text.includes("%"));
      assert.equal(parseAddress(text)?.length ?? 0, { 4: 4, 6: 16 }[isIP(text)] ?? 0, text);
    }),
    { numRuns: 3000 },
  );
});

test("checkAddress() gives one verdict for all the forms of one address", () => {
  fc.assert(
    fc.property(fc.ipV6(), (text) => {
      fc.pre(URL.canParse(`http://[${text}]/`));
      const canonical = new URL(`http://[${text}]/`).hostname.slice(1, -1);
      assert.equal(checkAddress(text, none).kind, checkAddress(canonical, none).kind);
    }),
  );
});

test("checkAddress() allows no IPv6 address outside 2000::/3 but the two that carry IPv4", () => {
  fc.assert(
    fc.property(fc.ipV6(), (text) => {
      const bytes = parseAddress(text) ?? new Uint8Array(16);
      const isCarrier = bytes.subarray(0, 10).every((byte) => byte === 0) || (bytes[0] === 0 && bytes[1] === 0x64);
      if (checkAddress(text, none).kind === "allowed") assert.ok(isCarrier || (bytes[0] ?? 0) >> 5 === 1, text);
    }),
  );
});

test("the allow-list wins over the table, to the exact bit of its prefix", () => {
  const allow = parseCidrs("10.1.2.128/25,fd00:0:0:8::/61");
  for (const inside of ["10.1.2.128", "10.1.2.255", "fd00:0:0:8::", "fd00:0:0:f:ffff::1"]) {
    assert.equal(checkAddress(inside, allow).kind, "allowed", inside);
  }
  for (const outside of ["10.1.2.127", "10.1.3.0", "fd00:0:0:7:ffff::", "fd00:0:0:10::", "127.0.0.1"]) {
    assert.equal(checkAddress(outside, allow).kind, "forbidden", outside);
  }
});

test("an IPv6 entry of the allow-list, however wide, admits no IPv4 address, mapped or plain", () => {
  const allow = parseCidrs("fc00::/7,::1");
  for (const address of ["127.0.0.1", "::ffff:127.0.0.1"]) assert.equal(checkAddress(address, allow).kind, "forbidden");
});

test("parseCidrs() drops white space, takes single addresses and reads a mapped block as its IPv4 block", () => {
  assert.deepEqual(parseCidrs(" "), []);
  const short = parseCidrs(" 10.0.0.0/8 ,\t127.0.0.1,::1 , ::ffff:192.168.0.0/112,0.0.0.0/0").map((cidr) => [
    cidr.base.join("."),
    cidr.prefixBits,
  ]);
  const loopback = `${"0.".repeat(15)}1`;
  assert.deepEqual(short, [
    ["10.0.0.0", 8],
    ["127.0.0.1", 32],
    [loopback, 128],
    ["192.168.0.0", 16],
    ["0.0.0.0", 0],
  ]);
});

for (const bad of [
  "10.0.0.0/33",
  "::/129",
  "10.0.0.0/",
  "10.0.0.0/08",
  "10.0.0.0/-1",
  "10.0.0.0/8/8",
  "10.0.0/8",
  "localhost",
  "",
  "fe80::%1/64",
]) {
  test(`parseCidrs() throws and names the bad item ${JSON.stringify(bad)}`, () => {
    assert.throws(() => parseCidrs(`127.0.0.0/8,${bad}`), {
      name: "Error",
      message: `${JSON.stringify(bad)} is not a block of addresses such as 10.0.0.0/8 or fd00::/8`,
    });
  });
}

test("parseCidrs() throws when bits are set behind the prefix", () => {
  for (const [bad, bits] of [
    ["10.0.0.1/8", 8],
    ["10.128.0.0/8", 8],
    ["::1/127", 127],
    ["1.2.3.4/0", 0],
  ] as const) {
    assert.throws(() => parseCidrs(bad), { message: `"${bad}" has bits set behind its prefix of ${bits}` });
  }
});

/** Written by an attacker, normalised by the URL parser, judged by us. */
const hosts: readonly (readonly [url: string, kind: "allowed" | "forbidden" | "name"])[] = [
  ["http://2130706433/", "forbidden"],
  ["http://0x7f.1/", "forbidden"],
  ["http://0177.0.0.1/", "forbidden"],
  ["http://127.1./", "forbidden"],
  ["http://１２７.0.0.1/", "forbidden"],
  ["http://[::ffff:127.0.0.1]/", "forbidden"],
  ["http://[::127.0.0.1]/", "forbidden"],
  ["http://[64:ff9b::a9fe:a9fe]/", "forbidden"],
  ["http://169.254.169.254/latest", "forbidden"],
  ["http://user@10.0.0.1/", "forbidden"],
  ["http://8.8.8.8/", "allowed"],
  ["http://[2606:4700:4700::1111]/", "allowed"],
  ["http://[::ffff:8.8.8.8]/", "allowed"],
  ["https://example.com./", "name"],
  ["https://localhost/", "name"],
  ["https://xn--bcher-kva.example/", "name"],
  ["https://10.0.0.1.example.com/", "name"],
  ["https://under_score.example.com:8443/", "name"],
];

for (const [url, kind] of hosts) {
  test(`checkUrlHost() finds the host of ${url} ${kind}`, () => {
    assert.equal(checkUrlHost(new URL(url).hostname, none).kind, kind);
  });
}

test("checkUrlHost() gives a name back without its last dots", () => {
  assert.deepEqual(checkUrlHost("example.com.", none), { kind: "name", name: "example.com" });
});

test("checkUrlHost() heeds the allow-list and IPv6 addresses without brackets", () => {
  const allow = parseCidrs("127.0.0.0/8,::1");
  for (const host of ["127.0.0.1", "[::1]", "::1", "[::ffff:7f00:1]", "127.0.0.1."]) {
    assert.deepEqual(checkUrlHost(host, allow), { kind: "allowed" }, host);
  }
});

for (const host of [
  "",
  ".",
  "127.1",
  "0x7f000001",
  "a.0x",
  "1.2.3.4.5",
  "[::1",
  "[fe80::1%25eth0]",
  "fe80::1%eth0",
  "[127.0.0.1]",
  "a b",
  "a..b",
  "a@b",
  "a/b",
  "bücher.example",
  "a\u0000",
  `${"a".repeat(63)}.`.repeat(4) + "a",
  "a".repeat(64),
]) {
  test(`checkUrlHost() forbids ${JSON.stringify(host.slice(0, 40))}, which no URL parser hands out`, () => {
    assert.equal(checkUrlHost(host, none).kind, "forbidden");
  });
}
