const LOOPBACK = /^(?:[\w-]+\.)*localhost$/i;
/** An address: no name of somebody else's can be made to mean it. */
const ADDRESS = /^(?:\[[\da-f:.]+\]|\d+\.\d+\.\d+\.\d+)$/i;

/**
 * Whether a request was meant for this server. A page elsewhere can have a name of its own resolve to
 * this machine (DNS rebinding); the browser then takes what it reads here for that page's own. Names
 * of the loopback and addresses cannot be misused so; other names must be known.
 *
 * @param url Of the request, as its Host header makes it
 */
export function isHostKnown(url: string, names: readonly string[]): boolean {
  if (!URL.canParse(url)) return true; // what is no address is refused as that
  const { hostname } = new URL(url);
  return LOOPBACK.test(hostname) || ADDRESS.test(hostname) ||
    names.some((name) => name.toLowerCase() === hostname.toLowerCase());
}

/** What a request for an unknown name gets: 421, Misdirected Request. */
export function misdirected(): Response {
  return Response.json({
    error: "This server is not known by that name",
    hint: "Add the name to api.hosts (GRIDWATCH_API_HOSTS)",
  }, { status: 421 });
}
