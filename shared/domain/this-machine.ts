/** Names of this machine, to whose pages browsers take plain http for as good as https. */
const HERE = /^(?:(?:[\w-]+\.)*localhost|127(?:\.\d+){3}|\[::1\])$/;

/** `hostname` as `URL` has it. */
export function isThisMachine(hostname: string): boolean {
  return HERE.test(hostname);
}
