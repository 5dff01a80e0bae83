/** What a URL says by itself: whether it can be called, and whether it stays on this machine. */

export function isHttpUrl(word: string | undefined): word is string {
  return word !== undefined && /^https?:$/.test(URL.parse(word)?.protocol ?? "");
}

export function isOnThisMachine(url: string): boolean {
  return /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(URL.parse(url)?.hostname ?? "");
}
