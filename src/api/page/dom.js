/**
 * The few DOM helpers the page needs. Text from data only ever becomes a text node or an attribute
 * value: there is no innerHTML here or anywhere.
 */

const SVG = "http://www.w3.org/2000/svg";

/** The element with this id. */
export function byId(id) {
  return document.getElementById(id);
}

/** An HTML element. A property that is a function becomes a listener; null ones are left out. */
export function h(tag, attributes, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** An SVG element. */
export function s(tag, attributes, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined) continue;
    if (typeof value === "function") element.addEventListener(name, value);
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** One of the symbols of page.html. */
export function icon(name, className = "icon") {
  return s("svg", { class: className, "aria-hidden": "true" }, s("use", { href: `#i-${name}` }));
}

/** Sets text only when it differs, so that a selection and the screen reader are left alone. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Sets or, with null, removes an attribute, only when it differs. */
export function setAttribute(element, name, value) {
  if (value === null) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
}

/**
 * Makes `parent` hold one child per item, in order. A child lives as long as its key does: focus,
 * scroll and open details survive an update.
 */
export function reconcile(parent, items, { key, create, update }) {
  const known = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  let place = parent.firstElementChild;
  for (const item of items) {
    const name = key(item);
    let child = known.get(name);
    known.delete(name);
    if (child === undefined) {
      child = create(item);
      child.dataset.key = name;
    }
    update?.(child, item);
    if (child === place) place = place.nextElementSibling;
    else parent.insertBefore(child, place);
  }
  for (const child of known.values()) child.remove();
}

/** GETs JSON; rejects with the server's own words. */
export async function getJson(path) {
  const response = await fetch(path, { headers: { accept: "application/json" } });
  const body = await response.json().catch(() => null);
  if (response.ok && body !== null) return body;
  const error = new Error(body?.error ?? `The server answered ${response.status}`);
  error.status = response.status;
  throw error;
}
