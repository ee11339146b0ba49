// Elements, made without markup: what comes from a store is text and never HTML.

// h makes an element: h("a", {href, class, onclick, "aria-label"}, ...children).
export function h(tag, props, ...children) {
  const el = document.createElement(tag);
  for (const [name, value] of Object.entries(props || {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) el.addEventListener(name.slice(2), value);
    else if (name === "value") el.value = value;
    else el.setAttribute(name, value === true ? "" : value);
  }
  put(el, ...children);
  return el;
}

export function put(el, ...children) {
  for (const c of children.flat(Infinity)) if (c !== undefined && c !== null && c !== false) el.append(c);
  return el;
}

// say tells a screen reader what has changed.
export function say(text) {
  document.getElementById("status").textContent = text;
}

const numbers = new Set(["Last commit", "First commit", "Token", "Version", "Times", "Commits behind"]);

// table makes one with a caption for those who do not see it.
export function table(caption, heads, rows) {
  return h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption },
    h("table", null,
      h("caption", { class: "visually-hidden" }, caption),
      h("thead", null, h("tr", null, heads.map((t) => h("th", { scope: "col", class: numbers.has(t) ? "number" : false }, t)))),
      h("tbody", null, rows)));
}

// field is a labelled control.
export function field(label, control) {
  return h("label", { class: "field" }, h("span", null, label), control);
}

// problem shows an error.
export function problem(err) {
  return h("div", { class: "problem", role: "alert" }, h("strong", null, err.code || "Error"), " ", err.message);
}

// empty says that there is nothing.
export function empty(text) {
  return h("p", { class: "quiet empty" }, text);
}

// latest makes a function that gives up its run before when it is called again: what is shown is
// of the last call.
export function latest(run) {
  let controller;
  return async (...args) => {
    controller?.abort();
    const mine = (controller = new AbortController());
    try {
      await run(mine.signal, ...args);
    } catch (err) {
      if (!mine.signal.aborted) throw err;
    }
  };
}
