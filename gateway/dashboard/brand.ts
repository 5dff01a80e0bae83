/**
 * The look of the portal: its logo, one colour, and what follows from it. The logo is a part of the stylesheet, so that nothing is
 * loaded from elsewhere and browsers keep it. The colour itself is at the head of the page and on its main button;
 * text in it is made darker, or lighter in the dark, until it can be read (WCAG 2.2, success criterion 1.4.3).
 */

import { encodeBase64 } from "@posthaste/shared/domain/base64.ts";
import type { PortalLook } from "@posthaste/shared/domain/portal-config.ts";

type Rgb = readonly [red: number, green: number, blue: number];

const CONTRAST_MIN = 4.5;
const STEPS = 20;
const BLACK: Rgb = [0, 0, 0];
const WHITE: Rgb = [255, 255, 255];
/** What links stand on: the page, what is raised, and plain states (`base-style.ts`, `style.ts`). */
const GROUNDS = {
  light: ["#ffffff", "#f6f7f9", "#eef1f4"],
  dark: ["#10141a", "#181e26", "#222b35"],
} as const;

/** Null each: as the dashboard has it. */
export function brandStyle({ colour, logo }: Pick<PortalLook, "colour" | "logo">): string {
  return `${logo === null ? "" : logoStyle(logo)}${colour === null ? "" : colourStyle(colour)}`;
}

function logoStyle({ type, bytes }: NonNullable<PortalLook["logo"]>): string {
  return `
.brand:has(.logo) { display: flex; gap: 0.5rem; align-items: center; }
.logo { content: url("data:${type};base64,${encodeBase64(bytes)}"); display: block; height: 1.75rem; max-width: 10rem; object-fit: contain; }
`;
}

function colourStyle(colour: string): string {
  const scheme = (name: "light" | "dark"): string =>
    `:root { --accent: ${readable(colour, name)}; --main: ${colour}; --on-main: ${textOn(colour)}; }`;
  return `
${scheme("light")}
@media (prefers-color-scheme: dark) { ${scheme("dark")} }
header { border-top: 4px solid ${colour}; }
button.main, .button.main { border-color: var(--accent); }
`;
}

/** As near to the colour as can be read on every ground of the scheme. */
export function readable(colour: string, scheme: "light" | "dark"): string {
  const towards = scheme === "light" ? BLACK : WHITE;
  const own = rgbOf(colour);
  for (let step = 0; step < STEPS; step++) {
    const mixed = mix(own, towards, step / STEPS);
    if (GROUNDS[scheme].every((ground) => contrast(mixed, rgbOf(ground)) >= CONTRAST_MIN)) return hexOf(mixed);
  }
  return hexOf(towards);
}

/** Black or white, whichever is easier to read; one of them always is. */
export function textOn(colour: string): string {
  const own = rgbOf(colour);
  return contrast(own, WHITE) >= contrast(own, BLACK) ? "#ffffff" : "#000000";
}

/** 1 to 21 (WCAG 2.2, "contrast ratio"). */
export function contrastOf(one: string, other: string): number {
  return contrast(rgbOf(one), rgbOf(other));
}

function contrast(one: Rgb, other: Rgb): number {
  const [low = 0, high = 0] = [luminance(one), luminance(other)].toSorted((left, right) => left - right);
  return (high + 0.05) / (low + 0.05);
}

function luminance(rgb: Rgb): number {
  const [red = 0, green = 0, blue = 0] = rgb.map((part) => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function mix(from: Rgb, to: Rgb, share: number): Rgb {
  const part = (at: 0 | 1 | 2): number => Math.round(from[at] + (to[at] - from[at]) * share);
  return [part(0), part(1), part(2)];
}

function rgbOf(hex: string): Rgb {
  const part = (at: number): number => Number.parseInt(hex.slice(at, at + 2), 16);
  return [part(1), part(3), part(5)];
}

function hexOf(rgb: Rgb): string {
  return `#${rgb.map((part) => part.toString(16).padStart(2, "0")).join("")}`;
}
