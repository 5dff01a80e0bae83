/** Is this word a URL that can be called? */

export function isHttpUrl(word: string | undefined): word is string {
  return word !== undefined && /^https?:$/.test(URL.parse(word)?.protocol ?? "");
}
