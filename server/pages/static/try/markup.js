// Elements in one expression. Text is always text: nothing from the network becomes markup.
// https://dom.spec.whatwg.org/

/** An element: `node("p", { class: "small" }, "text", anotherNode)`. Properties that are functions become listeners. */
export function node(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false && child !== ""));
  return element;
}

/** Name and value pairs as a description list; empty values are left out. */
export function facts(pairs, properties = { class: "facts" }) {
  const shown = pairs.filter(([, value]) => value !== "" && value !== undefined && value !== null);
  return node("dl", properties, shown.flatMap(([name, value]) => [node("dt", {}, name), node("dd", {}, value)]));
}

/** A table that can be scrolled by keyboard where it does not fit; `stacks`: on a narrow screen its rows become blocks. */
export function table(label, headings, rows, { stacks = false } = {}) {
  const head = node("thead", { role: "rowgroup" }, node("tr", { role: "row" }, headings.map((text) => node("th", { scope: "col", role: "columnheader" }, text))));
  const body = rows.map(([first, ...rest]) =>
    node(
      "tr",
      { role: "row" },
      node("th", { scope: "row", role: "rowheader" }, first),
      rest.map((cell, index) => node("td", { role: "cell", "data-label": headings[index + 1] }, cell)),
    ),
  );
  // Roles are spelled out because a narrow screen lays the rows out as blocks, and browsers then forget that it is a table.
  const whole = node("table", { role: "table", "aria-label": label }, head, node("tbody", { role: "rowgroup" }, body));
  if (stacks) whole.className = "stacks";
  return node("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, whole);
}

/** A list of which the first few are shown, and a button for the rest. */
export function listInPart(items, shown, name) {
  const list = node("ul", { class: "rows" }, items.slice(0, shown));
  if (items.length <= shown) return [list];
  const more = node("button", { type: "button", class: "plain small-button" }, `Show all ${items.length} ${name}`);
  more.addEventListener("click", () => {
    list.replaceChildren(...items);
    more.remove();
    items[shown].tabIndex = -1;
    items[shown].focus();
  });
  return [list, more];
}
