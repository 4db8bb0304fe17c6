/**
 * Takes the passwords out of the URLs in a text, in whatever form they stand: between user and host,
 * also with characters that a URL has another use for (then all up to the last @ of the word), and
 * as a parameter. The one place where this is done: all that is said to people, and all that is
 * logged, comes through here.
 */
export function redacted(text: string): string {
  return text.replace(URL_LIKE, (_, scheme: string, rest: string) => {
    const at = rest.lastIndexOf("@");
    const user = rest.slice(0, Math.max(0, at));
    const colon = user.indexOf(":");
    const isExample = user.slice(colon + 1) === EXAMPLE;
    const shown = colon < 0 || isExample ? rest : `${user.slice(0, colon)}:***${rest.slice(at)}`;
    return scheme + shown.replace(PARAMETER, "$1***");
  });
}

/** The word that stands for a password wherever the form of a URL is explained. */
const EXAMPLE = "password";
/** A double quote ends it: texts stand in JSON. */
const URL_LIKE = /([a-z][a-z0-9+.-]*:\/\/)([^\s"]+)/gi;
const PARAMETER = /((?:^|[?&;])(?:ssl)?pass(?:word|wd|phrase)?=)[^&;\s"]*/gi;
